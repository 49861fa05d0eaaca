import Delivery
import Mail

/// What is asked of the ``SiteDesk``.
struct SiteRequest: Codable, Sendable, Hashable {
    enum Verb: String, Codable, Sendable {
        case list, show, suspend, resume, forget
    }

    var verb: Verb
    /// A host, the name of a rule of `sites:`, or a recipient domain.
    var name: String?
    /// Only those that may not be sent to now.
    var blocked: Bool?
    /// 1 to ``limit``.
    var limit: Int?
    /// Why; needed for what changes things.
    var reason: String?
    /// Milliseconds after which an order is over by itself.
    var span: Int64?

    static let limit = 100_000
}

/// One receiver as it goes over the control socket.
struct SiteReport: Codable, Sendable, Hashable, TableRow {
    struct Host: Codable, Sendable, Hashable {
        var name: String
        var preference: Int
        var addresses: [Address]
    }

    struct Address: Codable, Sendable, Hashable {
        var address: String
        /// It took no session: set aside until then.
        var restsUntil: String?
        /// How often in a row.
        var failures: Int
        var withoutTLSUntil: String?
        /// What it offered in its answer to EHLO; nil where that is not known or too old.
        var utf8: Bool?
        var eightBit: Bool?
        /// Octets; nil also where it named no limit.
        var size: Int?
        /// The rule on where to connect forbids it.
        var forbidden: Bool
    }

    var name: String
    /// The rule that limits it; nil where the node's limits count.
    var rule: String?
    var busy: Int
    var idle: Int
    var opening: Int
    var limit: Int
    var rate: String?
    /// Works in memory; the store may have more.
    var waiting: Int
    /// Sources that rest for it.
    var cooling: Int
    /// Why nothing is sent there now.
    var blocked: String?
    var until: String?
    var suspended: Bool
    /// What is known of the way there.
    var memory: WayReport?
    /// nil in a list.
    var hosts: [Host]?

    static let header = row("SITE", "OPEN", "LIMIT", "WAITING", "COOLING", "RULE, RATE AND WHY NOT NOW")

    /// One line of a table, safe to show.
    var row: String {
        var words = [rule, rate].compactMap(\.self).joined(separator: ", ")
        if let memory, !memory.summary.isEmpty { words += (words.isEmpty ? "" : "; ") + memory.summary }
        if let blocked { words += (words.isEmpty ? "" : "; ") + blocked + (until.map { ", until \($0)" } ?? "") }
        return Visible.text(
            Self.row(name, "\(busy + idle + opening)", "\(limit)", "\(waiting)", "\(cooling)", words))
    }

    private static func row(
        _ name: String, _ open: String, _ limit: String, _ waiting: String, _ cooling: String, _ rest: String
    ) -> String {
        name.padding(to: 36) + open.padding(to: 6) + limit.padding(to: 7) + waiting.padding(to: 9)
            + cooling.padding(to: 9) + rest
    }

    /// All of it, safe to show.
    var lines: [String] {
        var lines = ["site      \(name)" + (rule.map { ", limits of \($0)" } ?? "")]
        lines.append("sessions  \(busy) busy, \(idle) idle, \(opening) being opened, at most \(limit)")
        if let rate { lines.append("rate      \(rate)") }
        lines.append("waiting   \(waiting) in memory; `figaro queue summary` counts the store")
        if cooling > 0 { lines.append("cooling   \(cooling) sources rest for it") }
        lines += memory?.lines ?? []
        if let blocked {
            lines.append("not now   \(blocked)")
            lines.append("until     \(until ?? "it is resumed")")
        }
        for host in hosts ?? [] {
            lines.append("host      \(host.preference) \(host.name)")
            for address in host.addresses { lines.append("          " + address.line) }
        }
        return lines.map { Visible.text($0) }
    }
}

extension SiteReport.Address {
    var line: String {
        var words: [String] = []
        if let restsUntil { words.append("set aside until \(restsUntil), failed \(failures) times in a row") }
        if let withoutTLSUntil { words.append("TLS failed: without it until \(withoutTLSUntil)") }
        if forbidden { words.append("may not be connected to") }
        if let utf8, let eightBit {
            words.append(
                "SMTPUTF8 \(utf8 ? "yes" : "no"), 8BITMIME \(eightBit ? "yes" : "no")"
                    + (size.map { ", SIZE \($0)" } ?? ""))
        }
        return address + (words.isEmpty ? "" : ": " + words.joined(separator: "; "))
    }
}

extension SiteReport {
    init(_ state: SiteState, hosts withHosts: Bool) {
        let rate = state.rule?.limits.rate?.description
        self.init(
            name: state.name, rule: state.rule?.name, busy: state.busy, idle: state.idle, opening: state.opening,
            limit: state.limit, rate: rate, waiting: state.waiting, cooling: state.cooling.values.reduce(0, +),
            blocked: state.block?.why, until: state.block?.until.map { UTCTime.text($0) },
            suspended: state.block?.isSuspended ?? false, memory: WayReport(state.receiver, paths: withHosts),
            hosts: withHosts ? state.hosts.map(Host.init) : nil)
    }
}

extension SiteReport.Host {
    init(_ host: SiteState.Host) {
        self.init(
            name: host.name, preference: Int(host.preference),
            addresses: host.addresses.map { address in
                SiteReport.Address(
                    address: address.address.description, restsUntil: address.rests.map { UTCTime.text($0) },
                    failures: address.failures, withoutTLSUntil: address.withoutTLS.map { UTCTime.text($0) },
                    utf8: address.offers?.utf8, eightBit: address.offers?.eightBit, size: address.offers?.size,
                    forbidden: address.isForbidden)
            })
    }
}
