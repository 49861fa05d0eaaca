import Mail
import NIOCore
import Queue

// The columns of `message` and `waiting` that are packed. Each begins with a version, so that a later program can read
// what an earlier one wrote without touching a million rows.

private let version: UInt8 = 1
/// Of a progress: counts, verdict and relay came with 4, site and source of the latest attempt with 3, and the first
/// refusal was a line of text before 2.
private let progressVersion: UInt8 = 4

extension Packer {
    private static let eightBit: UInt8 = 1
    private static let utf8: UInt8 = 2
    private static let file: UInt8 = 4
    private static let request: UInt8 = 8
    private static let verdict: UInt8 = 16
    private static let score: UInt8 = 32

    /// The envelope of a message: everything but its id and its inline content.
    mutating func envelope(_ message: QueuedMessage, recipients: [Address]) {
        byte(version)
        var flags: UInt8 = (message.eightBit ? Self.eightBit : 0) | (message.utf8 ? Self.utf8 : 0)
        if case .file = message.content { flags |= Self.file }
        if message.request != nil { flags |= Self.request }
        if message.verdict != nil { flags |= Self.verdict }
        if message.score != nil { flags |= Self.score }
        byte(flags)
        number(UInt64(max(0, message.size)))
        time(message.arrived)
        time(message.expires)
        if case .file(let name) = message.content { text(name) }
        text(message.customer)
        path(message.sender)
        list(recipients) { $0.address($1) }
        if let request = message.request { self.request(request, of: recipients) }
        if let verdict = message.verdict { text(verdict.rawValue) }
        if let score = message.score { text("\(score)") }
    }

    mutating func recipients(_ recipients: [Address]) {
        byte(version)
        list(recipients) { $0.address($1) }
    }

    /// All but ``Progress/due``, which is a column.
    mutating func progress(_ progress: Progress) {
        byte(progressVersion)
        number(UInt64(max(0, progress.rounds)))
        list(progress.tried) { $0.text($1) }
        optionalText(progress.pinned)
        text(progress.route)
        number(UInt64(max(0, progress.step)))
        optional(progress.firstRefusal) { $0.refusal($1) }
        optionalText(progress.lastRefusal)
        optionalText(progress.site)
        optionalText(progress.source)
        number(UInt64(max(0, progress.attempts)))
        number(UInt64(max(0, progress.burned)))
        optional(progress.volumeSince) { $0.time($1) }
        byte((progress.doubted ? 2 : 0) | (progress.faultedAt.map { $0.rawValue + 1 } ?? 0) << 2)
        optionalText(progress.verdict)
        optional(progress.relay) { $0.relay($1) }
    }

    private mutating func relay(_ relay: Progress.AtRelay) {
        text(relay.name)
        time(relay.entered)
        time(relay.until)
        text(relay.cause.rawValue)
        number(UInt64(max(0, relay.attempts)))
        optionalText(relay.said)
        optional(relay.reply) { $0.reply($1) }
    }

    mutating func hold(_ hold: Hold) {
        byte(version)
        time(hold.at)
        text(hold.by)
        text(hold.reason)
    }
}

extension Unpacker {
    private mutating func checkVersion() throws(Unreadable) {
        let found = try byte()
        guard found == version else { throw Unreadable(description: "row has version \(found)") }
    }

    /// - Parameters:
    ///   - expires: instead of what was packed.
    ///   - content: the inline content; not asked for where it is a file.
    mutating func envelope(
        id: MessageID, expires: Timestamp? = nil, content: () -> ByteBuffer
    ) throws(Unreadable) -> StoredMessage {
        try checkVersion()
        let flags = try byte()
        guard flags < 64 else { throw Unreadable(description: "unknown flags \(flags)") }
        let size = try count(.max)
        let arrived = try time()
        let packed = try time()
        let file = flags & 4 == 0 ? nil : try text()
        let customer = try text()
        let sender = try path()
        let recipients = try addresses()
        let request = flags & 8 == 0 ? nil : try request(of: recipients)
        // A word of a later program routes nothing.
        let verdict = flags & 16 == 0 ? nil : Screening.Verdict(rawValue: try text())
        let score = flags & 32 == 0 ? nil : Double(try text())
        let message = QueuedMessage(
            id: id, customer: customer, sender: sender, eightBit: flags & 1 != 0, utf8: flags & 2 != 0, size: size,
            arrived: arrived, expires: expires ?? packed, request: request, verdict: verdict,
            score: score, content: file.map { .file(name: $0) } ?? .inline(content()))
        return StoredMessage(message: message, recipients: recipients)
    }

    mutating func recipients() throws(Unreadable) -> [Address] {
        try checkVersion()
        return try addresses()
    }

    mutating func progress(due: Timestamp) throws(Unreadable) -> Progress {
        let found = try byte()
        guard (version...progressVersion).contains(found) else {
            throw Unreadable(description: "row has version \(found)")
        }
        var progress = Progress(
            rounds: try count(.max), due: due,
            tried: try list { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.text() },
            pinned: try optionalText(), route: try text(), step: try count(.max),
            firstRefusal: try found == version ? oldRefusal(at: due) : optionalRefusal(),
            lastRefusal: try optionalText())
        guard found > 2 else { return progress }
        progress.site = try optionalText()
        progress.source = try optionalText()
        guard found > 3 else { return progress }
        progress.attempts = try count(.max)
        progress.burned = try count(.max)
        progress.volumeSince = try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.time() }
        let signs = try byte()
        progress.doubted = signs & 2 != 0
        progress.faultedAt = try faultedAt(signs >> 2)
        progress.verdict = try optionalText()
        progress.relay = try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.relay() }
        return progress
    }

    /// One more than the phase; 0 for none.
    private func faultedAt(_ packed: UInt8) throws(Unreadable) -> Phase? {
        guard packed > 0 else { return nil }
        guard let phase = Phase(rawValue: packed - 1) else { throw Unreadable(description: "unknown phase \(packed)") }
        return phase
    }

    private mutating func relay() throws(Unreadable) -> Progress.AtRelay {
        let name = try text()
        let (entered, until) = (try time(), try time())
        guard let cause = Cause(rawValue: try text()) else { throw Unreadable(description: "unknown cause") }
        return Progress.AtRelay(
            name: name, entered: entered, until: until, cause: cause, attempts: try count(.max),
            said: try optionalText(), reply: try isAtEnd ? nil : optionalReply())
    }

    mutating func hold() throws(Unreadable) -> Hold {
        try checkVersion()
        return Hold(at: try time(), by: try text(), reason: try text())
    }

    private mutating func oldRefusal(at: Timestamp) throws(Unreadable) -> Refusal? {
        try optionalText().map {
            Refusal(host: nil, phase: .connect, answer: .trouble(.connection, $0), cause: .unknown, at: at)
        }
    }
}
