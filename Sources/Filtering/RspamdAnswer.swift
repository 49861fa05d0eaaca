import NIOCore
import NIOHTTP1

/// Reads what rspamd, or a filter node, answers to `/checkv2`.
///
/// An answer counts only when it is one: 200, JSON, with an action that is known and a score. All else, above all one
/// that rspamd broke off at its own time limit, is no verdict, since its score is that of the rules which had finished.
struct RspamdAnswer: Sendable {
    /// All of it as it came, for whoever hands it on.
    var json: ByteBuffer
    var verdict: Verdict

    /// Symbols that are kept; a verdict has some dozens.
    private static let symbols = 500
    private static let changes = 100

    /// Its option says after how many seconds this rspamd breaks off a scan; set by the rule in our guide.
    static let limitSymbol = "FIGARO_TASK_TIMEOUT"

    /// - Parameter limit: the time after which rspamd breaks off a scan (its `task_timeout`), in seconds, where it does
    ///   not say so itself.
    static func read(
        status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer, limit: Double
    ) throws(NodeFailure) -> RspamdAnswer {
        if status == .payloadTooLarge { throw NodeFailure("takes less", isTooLarge: true) }
        guard status == .ok else { throw NodeFailure("answered \(status.code)") }
        var body = body
        var content: ByteBuffer?
        if let offset = headers.first(name: "Message-Offset") {
            guard let length = Int(offset), length > 0, let json = body.readSlice(length: length) else {
                throw NodeFailure("says that the message begins where there is none")
            }
            content = body
            body = json
        }
        var verdict = try self.verdict(RspamdReply.read(body), limit: limit)
        if let content, content.readableBytes > 0 { verdict.changes.content = content }
        return RspamdAnswer(json: body, verdict: verdict)
    }

    private static func verdict(_ reply: RspamdReply, limit: Double) throws(NodeFailure) -> Verdict {
        if let error = reply.error { throw NodeFailure("answered an error: \(error)") }
        guard let word = reply.action, let score = reply.score else {
            throw NodeFailure("answered without action and score")
        }
        guard let action = action(word) else { throw NodeFailure("answered with an unknown action") }
        var verdict = Verdict(action: action, score: score, required: reply.required ?? 0)
        verdict.smtpMessage = reply.messages?.smtp
        if isBrokenOff(reply, verdict, limit: limit) { throw NodeFailure("broke off its scan, out of time") }
        verdict.symbols = (reply.symbols ?? [:]).sorted { $0.key < $1.key }.prefix(symbols).map { name, symbol in
            Verdict.Symbol(name: name, score: symbol.score ?? 0, options: Array((symbol.options ?? []).prefix(20)))
        }
        verdict.virus = reply.symbols?[FilterNode.virusSymbol].map { $0.options?.first ?? "virus" }
        verdict.changes = changes(reply.milter)
        if verdict.action == .rewriteSubject { verdict.changes.subject = reply.subject }
        let wish = reply.milter?.wish
        verdict.isQuarantined = wish == "quarantine" || word == "quarantine"
        // To take a message and throw it away is not ours to do: its author would never know.
        if wish == "discard" || word == "discard" { verdict.action = .reject }
        return verdict
    }

    private static func action(_ word: String) -> Verdict.Action? {
        switch word {
        // rspamd's own spelling, and actions that operators of it may add.
        case "discard": .reject
        case "quarantine", "accept": .noAction
        default: Verdict.Action(rawValue: word)
        }
    }

    /// rspamd forces an end at its `task_timeout`, and then says what it knows as if that were all; where it was told
    /// to (`soft_reject_on_timeout`) it says so, of its filters and of what comes after them.
    private static func isBrokenOff(_ reply: RspamdReply, _ verdict: Verdict, limit: Double) -> Bool {
        let said = verdict.smtpMessage ?? ""
        if said.hasPrefix("timeout processing") || said.hasPrefix("timeout post-processing")
            || reply.decider == "task timeout"
        {
            return verdict.action != .reject
        }
        // A rejection stands with or without the rules that had not finished.
        guard verdict.action != .reject else { return false }
        return (reply.time ?? reply.scanTime ?? 0) >= (stated(reply) ?? limit) * 0.98
    }

    /// What rspamd itself says of its limit, in seconds.
    private static func stated(_ reply: RspamdReply) -> Double? {
        guard let text = reply.symbols?[limitSymbol]?.options?.first, let seconds = Double(text) else { return nil }
        return seconds.isFinite && seconds > 0 ? seconds : nil
    }

    // MARK: milter headers

    private static func changes(_ milter: RspamdReply.Milter?) -> Verdict.Changes {
        var changes = Verdict.Changes()
        guard let milter else { return changes }
        for (name, values) in (milter.add ?? [:]).sorted(by: { $0.key < $1.key }) {
            for value in values.texts where changes.add.count < Self.changes {
                changes.add.append(Verdict.Changes.Field(name: name, value: value))
            }
        }
        for (name, which) in (milter.remove ?? [:]).sorted(by: { $0.key < $1.key }).prefix(Self.changes) {
            changes.remove.append(Verdict.Changes.Removal(name: name, which: which))
        }
        return changes
    }
}

/// Why a node's answer does not count, or there is none; for the operator.
struct NodeFailure: Error, Hashable, CustomStringConvertible {
    let reason: String
    /// It is about the message, not about the node: another one would say the same.
    var isTooLarge = false

    init(_ reason: String, isTooLarge: Bool = false) {
        self.reason = String(reason.prefix(200))
        self.isTooLarge = isTooLarge
    }

    var description: String { reason }
}
