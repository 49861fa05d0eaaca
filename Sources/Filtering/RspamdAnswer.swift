import NIOCore
import NIOHTTP1

/// Reads what rspamd, or a filter node, answers to `/checkv2`.
///
/// An answer counts only when it is one: 200, JSON, with an action that is known and a score. All else, above all one
/// that rspamd broke off at its own time limit, is no verdict, since its score is that of the rules which had finished.
struct RspamdAnswer: Sendable {
    /// All of it, for whoever hands it on.
    var json: JSON
    var verdict: Verdict

    /// Symbols that are kept; a verdict has some dozens.
    private static let symbols = 500
    private static let changes = 100

    /// - Parameter limit: the time after which rspamd breaks off a scan (its `task_timeout`), in seconds.
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
        let json: JSON
        do throws(JSONReader.Unreadable) {
            json = try body.withUnsafeReadableBytes { bytes throws(JSONReader.Unreadable) in
                try JSONReader.read(bytes)
            }
        } catch {
            throw NodeFailure("answered no JSON: \(error.reason) at \(error.place)")
        }
        var verdict = try self.verdict(json, limit: limit)
        if let content, content.readableBytes > 0 { verdict.changes.content = content }
        return RspamdAnswer(json: json, verdict: verdict)
    }

    private static func verdict(_ json: JSON, limit: Double) throws(NodeFailure) -> Verdict {
        if let error = json["error"] { throw NodeFailure("answered an error: \(error.text ?? "?")") }
        guard let word = json["action"]?.text, let score = json["score"]?.number else {
            throw NodeFailure("answered without action and score")
        }
        guard let action = action(word) else { throw NodeFailure("answered with an unknown action") }
        var verdict = Verdict(action: action, score: score, required: json["required_score"]?.number ?? 0)
        verdict.smtpMessage = json["messages"]?["smtp_message"]?.text
        if isBrokenOff(json, verdict, limit: limit) { throw NodeFailure("broke off its scan, out of time") }
        verdict.symbols = (json["symbols"]?.members ?? []).prefix(symbols).map { member in
            Verdict.Symbol(
                name: member.name, score: member.value["score"]?.number ?? 0,
                options: (member.value["options"]?.elements ?? []).prefix(20).compactMap(\.text))
        }
        verdict.virus = virus(json)
        verdict.changes = changes(json["milter"])
        if verdict.action == .rewriteSubject { verdict.changes.subject = json["subject"]?.text }
        let wish = json["milter"]?["reject"]?.text
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
    /// to (`soft_reject_on_timeout`) it says so.
    private static func isBrokenOff(_ json: JSON, _ verdict: Verdict, limit: Double) -> Bool {
        if verdict.action == .softReject, verdict.smtpMessage?.hasPrefix("timeout processing") ?? false { return true }
        // A rejection stands with or without the rules that had not finished.
        guard verdict.action != .reject else { return false }
        return (json["time_real"]?.number ?? json["scan_time"]?.number ?? 0) >= limit * 0.98
    }

    private static func virus(_ json: JSON) -> String? {
        guard let found = json["symbols"]?[FilterNode.virusSymbol] else { return nil }
        return found["options"]?.elements.first?.text ?? "virus"
    }

    // MARK: milter headers

    private static func changes(_ milter: JSON?) -> Verdict.Changes {
        var changes = Verdict.Changes()
        guard let milter else { return changes }
        for member in milter["add_headers"]?.members ?? [] {
            for value in values(member.value) where changes.add.count < Self.changes {
                changes.add.append(Verdict.Changes.Field(name: member.name, value: value))
            }
        }
        for member in milter["remove_headers"]?.members ?? [] where changes.remove.count < Self.changes {
            let which = member.value.number.flatMap { Int(exactly: $0) } ?? 0
            changes.remove.append(Verdict.Changes.Removal(name: member.name, which: which))
        }
        return changes
    }

    /// A text, `{"value": …, "order": …}`, or a list of them.
    private static func values(_ value: JSON) -> [String] {
        switch value {
        case .string(let text): [text]
        case .object: value["value"]?.text.map { [$0] } ?? []
        case .array(let elements): elements.compactMap { $0.text ?? $0["value"]?.text }
        case .null, .bool, .number: []
        }
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
