import Delivery
import Mail

/// What is asked of the ``SourceDesk``.
struct SourceRequest: Codable, Sendable, Hashable {
    enum Verb: String, Codable, Sendable {
        case list, show, drain, disable, enable, forgive
    }

    var verb: Verb
    /// Which sources: see ``SourceNames``; empty for all of them.
    var names: [String] = []
    /// Only those in this state.
    var state: String?
    /// 1 to ``limit``.
    var limit: Int?
    /// Why; needed for what changes things.
    var reason: String?
    /// Milliseconds after which an order is over by itself.
    var span: Int64?
    /// The receiver that is to forgive; nil: all.
    var site: String?
    /// Also where a pool is left with less than its `minimum_active`.
    var force: Bool?

    /// Sources in one list: as many as there may be.
    static let limit = 1 << 20
}

/// One source as it goes over the control socket.
struct SourceReport: Codable, Sendable, Hashable, TableRow {
    struct Path: Codable, Sendable, Hashable {
        var site: String
        var cause: String
        var until: String
        /// How often in a row it was refused, less what successes took back.
        var level: Int
        /// What read the refusal, and its first line.
        var rule: String
        var reply: String

        init(_ path: CoolingPath) {
            site = path.site
            cause = path.cooldown.cause.rawValue
            until = UTCTime.text(path.cooldown.until)
            level = path.cooldown.level
            rule = path.cooldown.rule
            reply = path.cooldown.reply
        }

        fileprivate var said: String { "\(site), cause \(cause), level \(level), until \(until), \(rule): \(reply)" }
    }

    var name: String
    var address: String
    var ehlo: String
    var range: String
    var pools: [String]
    /// As the ip map has it, or `draining` and `disabled` by an operator, `unbound`, or `cooling` for some receivers.
    var state: String
    /// The operator; `ip map` for what the files say.
    var by: String?
    var reason: String?
    var since: String?
    /// nil: until it is taken back.
    var until: String?
    var sessions: Int
    /// Messages since the start: taken by a receiver, refused by one, and refused because of the address.
    var delivered: Int
    var refused: Int
    var blamed: Int
    /// Receivers that it rests for.
    var cooling: Int
    /// The first of those; nil in a list.
    var paths: [Path]?

    /// All of it, safe to show.
    var lines: [String] {
        var lines = [
            "source    \(name), \(address), EHLO \(ehlo)",
            "range     \(range), in \(pools.isEmpty ? "no pool" : pools.joined(separator: ", "))",
            "state     \(state)" + (by.map { ", by \($0)" } ?? ""),
        ]
        if let reason { lines.append("reason    \(reason)") }
        if let since { lines.append("since     \(since)") }
        if by != nil || until != nil { lines.append("until     \(until ?? "it is enabled again")") }
        lines.append("sessions  \(sessions) open")
        lines.append("messages  \(delivered) delivered, \(refused) refused, \(blamed) of them for the address")
        lines.append("cooling   for \(cooling) receivers")
        lines += (paths ?? []).map { "          \($0.said)" }
        return lines.map { Visible.text($0) }
    }

    static let header = row("SOURCE", "ADDRESS", "STATE", "OPEN", "DELIVERED", "REFUSED", "BLAMED", "EHLO AND WHY")

    /// One line of a table, safe to show.
    var row: String {
        var words = ehlo
        if let reason { words += "; \(by.map { "\($0): " } ?? "")\(reason)" }
        if let until { words += "; until \(until)" }
        return Visible.text(
            Self.row(name, address, state, "\(sessions)", "\(delivered)", "\(refused)", "\(blamed)", words))
    }

    private static func row(
        _ name: String, _ address: String, _ state: String, _ open: String, _ delivered: String, _ refused: String,
        _ blamed: String, _ rest: String
    ) -> String {
        name.padding(to: 16) + address.padding(to: 17) + state.padding(to: 10) + open.padding(to: 6)
            + delivered.padding(to: 11) + refused.padding(to: 9) + blamed.padding(to: 8) + rest
    }
}

/// What became of an order.
struct OrderReport: Codable, Sendable, Hashable {
    /// How many sources or receivers it is about, and how many of them it changed.
    var found: Int
    var changed: Int
    /// What happened, in one sentence.
    var said: String
    /// What the person should know besides.
    var warnings: [String]
}
