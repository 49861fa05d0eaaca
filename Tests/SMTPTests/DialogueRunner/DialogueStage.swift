import NIOCore
import NIOEmbedded

/// How the words of the other side come in; what follows from them must not depend on it.
enum Reading: String, CaseIterable, Sendable {
    /// Each line of the file by itself.
    case lines
    /// All that is said before Figaro is heard again, at once.
    case together
    /// One octet at a time.
    case octets
}

/// One side of a dialogue that Figaro plays, on a channel without a network and with a clock that is moved by hand.
protocol DialogueActor: AnyObject {
    var channel: EmbeddedChannel { get }
    /// Something happens that is not said; false where it is nothing this side knows.
    func event(_ name: String) throws -> Bool
    /// What is checked by `=`: the next outcome, or the one asked for. Nil where there is none.
    func outcome(_ expected: Dialogue.Expectation) -> String?
    /// Outcomes that the dialogue did not mention but should have.
    var unmentioned: String? { get }
}

/// Plays a dialogue from its first line to its last.
struct DialogueStage {
    private let dialogue: Dialogue
    private let figaro: any DialogueActor
    private let reading: Reading
    /// Said by the other side and not read yet.
    private var pending: [UInt8] = []
    /// Said by Figaro and not mentioned yet.
    private var heard = ByteBuffer()
    private var expects = false

    static func play(_ dialogue: Dialogue, _ reading: Reading) throws {
        let figaro: any DialogueActor =
            switch dialogue.side {
            case .server: try ServerActor(dialogue)
            case .client: try ClientActor(dialogue)
            }
        var stage = DialogueStage(dialogue: dialogue, figaro: figaro, reading: reading)
        defer { _ = try? figaro.channel.finish(acceptAlreadyClosed: true) }
        for (line, step) in dialogue.steps { try stage.play(step, line) }
        let end = dialogue.steps.last?.line ?? 1
        try stage.read()
        try stage.listen()
        try stage.expectSilence(end)
        if let unmentioned = figaro.unmentioned {
            throw dialogue.fault(end, "the dialogue does not mention: \(unmentioned)")
        }
    }

    private init(dialogue: Dialogue, figaro: any DialogueActor, reading: Reading) {
        self.dialogue = dialogue
        self.figaro = figaro
        self.reading = reading
    }

    private mutating func play(_ step: Dialogue.Step, _ line: Int) throws {
        if case .says(let octets) = step {
            if expects { try expectSilence(line) }
            expects = false
            pending += octets
            if reading != .together { try read() }
            return
        }
        try read()
        try listen()
        switch step {
        case .says: break
        case .hears(let expected):
            expects = true
            try hear(expected, line)
        case .otherSideCloses:
            if figaro.channel.isActive { try figaro.channel.close().wait() }
        case .otherSideHalfCloses:
            figaro.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .figaroCloses:
            try expectSilence(line)
            guard !figaro.channel.isActive else { throw dialogue.fault(line, "Figaro has not closed the connection") }
        case .event(let name):
            guard try happen(name) else { throw dialogue.fault(line, "“! \(name)” is nothing that can happen here") }
        case .outcome(let expected):
            guard let found = figaro.outcome(expected) else {
                throw dialogue.fault(line, "expected “\(expected.words)”, and nothing came of it")
            }
            guard expected.fits(found) else {
                throw dialogue.fault(line, "expected “\(expected.words)”, found “\(found)”")
            }
        }
    }

    private func happen(_ name: String) throws -> Bool {
        let words = name.split(separator: " ")
        guard words.first == "wait", words.count == 2, let span = Self.span(words[1]) else {
            return try figaro.event(name)
        }
        figaro.channel.embeddedEventLoop.advanceTime(by: span)
        return try figaro.event("time passed")
    }

    /// `500ms`, `30s`, `6m` or `2h`.
    private static func span(_ text: Substring) -> TimeAmount? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        switch text[digits.endIndex...] {
        case "ms": return .milliseconds(number)
        case "s": return .seconds(number)
        case "m": return .minutes(number)
        case "h": return .hours(number)
        default: return nil
        }
    }

    private mutating func read() throws {
        let octets = pending
        pending = []
        guard !octets.isEmpty else { return }
        if reading == .octets {
            // Whoever has closed reads no more.
            for octet in octets where figaro.channel.isActive {
                try figaro.channel.writeInbound(ByteBuffer(bytes: [octet]))
            }
        } else if figaro.channel.isActive {
            try figaro.channel.writeInbound(ByteBuffer(bytes: octets))
        }
        figaro.channel.embeddedEventLoop.run()
    }

    private mutating func listen() throws {
        figaro.channel.embeddedEventLoop.run()
        while var bytes = try figaro.channel.readOutbound(as: ByteBuffer.self) { heard.writeBuffer(&bytes) }
    }

    private mutating func hear(_ expected: Dialogue.Expectation, _ line: Int) throws {
        while true {
            guard let said = nextLine() else {
                let what = heard.readableBytes == 0 ? "said nothing" : "said “\(shown(heard))” without an end"
                throw dialogue.fault(line, "expected “\(expected.words)”, but Figaro \(what)")
            }
            guard expected.fits(said) else {
                let rest = expected.isOpen ? "..." : ""
                throw dialogue.fault(line, "expected “\(expected.words)\(rest)”, found “\(said)”")
            }
            guard expected.isWholeReply, said.dropFirst(3).first == "-" else { return }
        }
    }

    private mutating func nextLine() -> String? {
        guard let feed = heard.readableBytesView.firstIndex(of: 10) else { return nil }
        let length = feed - heard.readerIndex + 1
        guard length > 1, heard.getInteger(at: feed - 1, as: UInt8.self) == 13 else { return nil }
        defer { heard.moveReaderIndex(forwardBy: length) }
        return heard.getSlice(at: heard.readerIndex, length: length - 2).map { String(buffer: $0) }
    }

    private func expectSilence(_ line: Int) throws {
        guard heard.readableBytes == 0 else {
            throw dialogue.fault(line, "before this line Figaro said also “\(shown(heard))”")
        }
    }

    private func shown(_ buffer: ByteBuffer) -> String {
        let text = String(buffer: buffer)
        return text.utf8.count > 200 ? text.prefix(200) + "…" : text
    }
}
