import Mail
import Queue

/// One group of a summary as it goes over the control socket.
struct SummaryReport: Codable, Sendable, Hashable {
    enum Kind: String, Codable, Sendable {
        case total, site, customer
    }

    struct Reason: Codable, Sendable, Hashable {
        var text: String
        var recipients: Int
    }

    var kind: Kind
    var name: String
    var messages: Int
    var recipients: Int
    /// Recipients by state.
    var states: [String: Int]
    var oldest: String?
    var oldestSeconds: Int64?
    var next: String?
    var reasons: [Reason]
    var blockedUntil: String?
    var blockedWhy: String?

    init(_ group: QueueSummary.Group, of kind: Kind, at now: Timestamp) {
        self.kind = kind
        name = group.name
        messages = group.messages
        recipients = group.recipients
        states = [:]
        for (state, count) in group.states { states[state.shown, default: 0] += count }
        if group.messages > 0 {
            oldest = UTCTime.text(group.oldest)
            oldestSeconds = max(0, (now - group.oldest).milliseconds / 1_000)
        }
        next = group.next.map { UTCTime.text(max($0, group.until ?? $0)) }
        reasons = group.reasons.map { Reason(text: $0.text, recipients: $0.recipients) }
        blockedUntil = group.until.map { UTCTime.text($0) }
        blockedWhy = group.why
    }

    /// A few lines for a person, safe to show.
    var lines: [String] {
        let states = states.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        let title = kind == .total ? "all" : name
        var lines = [
            "\(title.padding(to: 40))\(Amount.text(messages, "message")), \(Amount.text(recipients, "recipient"))"
                + (states.isEmpty ? "" : ": \(states)")
        ]
        var facts: [String] = []
        if let oldestSeconds { facts.append("oldest \(Age.text(seconds: oldestSeconds))") }
        if let next { facts.append("next \(next)") }
        if let blockedWhy {
            facts.append("nothing is sent" + (blockedUntil.map { " before \($0)" } ?? "") + ": \(blockedWhy)")
        }
        if !facts.isEmpty { lines.append("    " + facts.joined(separator: ", ")) }
        lines += reasons.map { "    \($0.recipients) × \($0.text)" }
        return lines.map { Visible.text($0) }
    }
}

/// How long ago something was, roughly, for a person: `45s`, `12m`, `3h05m`, `2d07h`.
enum Age {
    static func text(seconds: Int64) -> String {
        switch seconds {
        case ..<60: "\(max(0, seconds))s"
        case ..<3_600: "\(seconds / 60)m"
        case ..<86_400: "\(seconds / 3_600)h\(twoDigits(seconds / 60 % 60))m"
        default: "\(seconds / 86_400)d\(twoDigits(seconds / 3_600 % 24))h"
        }
    }

    private static func twoDigits(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

extension QueueEntry.State {
    /// As commands show it.
    var shown: String {
        switch self {
        // Nobody outside knows whether it was filed.
        case .fresh, .handedOut: "in flight"
        default: rawValue
        }
    }
}
