import Delivery
import Intake
import Mail

/// What is asked of the ``CustomerDesk``.
struct CustomerRequest: Codable, Sendable, Hashable {
    enum Verb: String, Codable, Sendable {
        case list, show, hold, release
    }

    var verb: Verb
    /// As the node's file has it.
    var name: String?
    /// Why; needed for what changes things.
    var reason: String?
}

/// One customer as it goes over the control socket.
struct CustomerReport: Codable, Sendable, Hashable, TableRow {
    struct Burn: Codable, Sendable, Hashable {
        var site: String
        var sources: Int
    }

    struct Closure: Codable, Sendable, Hashable {
        var by: String
        var reason: String
        var since: String

        init(_ closure: AccountRecord.Closure) {
            by = closure.by
            reason = closure.reason
            since = UTCTime.text(Timestamp(milliseconds: closure.since))
        }
    }

    /// What the node's file declares, or the spool keeps.
    struct Account: Codable, Sendable, Hashable {
        /// `file` or `spool`.
        var kept: String
        var networks: [String]
        var users: [String]
        var certificates: [String]
        var senders: [String]
        var limits: [String: Int]
        /// Of those that are counted, this hour or today.
        var used: [String: Int]
        var administrator: String?
        var language: String?
        /// Of those in the ip map; nil: the one that the map chooses.
        var route: String?
        /// By the names of ``FilterRule``.
        var filter: [String: String]?
        var closed: Closure?

        init(_ customer: Customer, kept: String, used: CustomerLimits) {
            let limits = CustomerLimitName.values(of: customer.limits)
            self.used = CustomerLimitName.values(of: used).filter { limits[$0.key] != nil }
            self.limits = limits
            self.kept = kept
            networks = customer.networks.map(\.description)
            users = customer.credentials.map(\.user)
            certificates = customer.certificates.map(\.description)
            senders = customer.senders.list
            administrator = customer.administrator?.description
        }

        fileprivate var lines: [String] {
            let limits = CustomerLimitName.allCases.compactMap { name in
                self.limits[name.rawValue].map { "\(name.rawValue)=\(name.text($0))" }
            }
            let used = CustomerLimitName.allCases.compactMap { name in
                self.used[name.rawValue].flatMap { $0 > 0 ? "\(name.rawValue)=\($0)" : nil }
            }
            let filter = FilterRule.allCases.compactMap { rule in
                self.filter?[rule.rawValue].map { "\(rule.rawValue)=\($0)" }
            }
            let rows: [(name: String, values: [String])] = [
                ("networks", networks), ("logs in as", users), ("shows", certificates), ("sends as", senders),
                ("limits", limits), ("used", used), ("told", administrator.map { [$0] } ?? []),
                ("notices", language.map { ["in \($0)"] } ?? []), ("route", route.map { [$0] } ?? []),
                ("filter", filter),
            ]
            let closed = closed.map { ["closed by \($0.by), since \($0.since)", "why       \($0.reason)"] } ?? []
            return closed + ["kept in   the \(kept == "file" ? "node's file" : "spool")"]
                + rows.filter { !$0.values.isEmpty }.map {
                    $0.name.padding(to: 10) + $0.values.joined(separator: " ")
                }
        }
    }

    var name: String
    /// `open`, `held` or `closed`; one that is closed and held is `held`.
    var state: String
    /// Recipients since the start that receivers took, and that they do not know.
    var delivered: Int
    var unknown: Int
    /// Answers since the start that refused a message for its content, and for who claims to have sent it.
    var content: Int
    var auth: Int
    /// Sources that were refused because of its mail, most first.
    var burned: [Burn]
    /// How it is known and what it may; nil where nothing is declared or kept of it.
    var account: Account?
    /// Of what held it.
    var by: String?
    var reason: String?
    var since: String?

    init(_ known: KnownCustomer, account: Account? = nil) {
        self.account = account
        name = known.name
        state = known.hold != nil ? "held" : account?.closed != nil ? "closed" : "open"
        delivered = known.taken
        unknown = known.unknown
        content = known.content
        auth = known.auth
        burned = known.burns.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            Burn(site: $0.key, sources: $0.value)
        }
        by = known.hold?.by
        reason = known.hold?.reason
        since = known.hold.map { UTCTime.text($0.since) }
    }

    /// Those that wait for somebody come first.
    var rank: Int { state == "held" ? 0 : state == "closed" ? 1 : 2 }

    /// Recipients that receivers do not know, of all that they answered for; nil where there was none.
    var badRatio: Double? {
        delivered + unknown > 0 ? Double(unknown) / Double(delivered + unknown) : nil
    }

    private var badPercent: String { badRatio.map { TopScreen.rate($0 * 100) + " %" } ?? "-" }

    static let header = row("CUSTOMER", "STATE", "DELIVERED", "UNKNOWN", "CONTENT", "AUTH", "BURNED", "WHY")

    /// One line of a table, safe to show.
    var row: String {
        Visible.text(
            Self.row(
                name, state, "\(delivered)", badPercent, "\(content)", "\(auth)",
                "\(burned.reduce(0) { $0 + $1.sources })", why))
    }

    private var why: String {
        let closed = account?.closed.flatMap { by == nil ? [$0.by, $0.reason] : nil }
        return (closed ?? [by, reason].compactMap(\.self)).joined(separator: ": ")
    }

    private static func row(
        _ name: String, _ state: String, _ delivered: String, _ unknown: String, _ content: String, _ auth: String,
        _ burned: String, _ rest: String
    ) -> String {
        name.padding(to: 20) + state.padding(to: 7) + delivered.padding(to: 11) + unknown.padding(to: 9)
            + content.padding(to: 9) + auth.padding(to: 7) + burned.padding(to: 8) + rest
    }

    /// All of it, safe to show.
    var lines: [String] {
        var lines = ["customer  \(name), \(state)"]
        if let by, let reason, let since {
            lines.append("held by   \(by), since \(since)")
            lines.append("why       \(reason)")
        }
        lines += account?.lines ?? []
        lines.append("receivers took \(delivered) recipients and do not know \(unknown) (\(badPercent))")
        lines.append("refused   \(content) times for content, \(auth) times for who claims to have sent it")
        for burn in burned { lines.append("burned    \(burn.sources) sources at \(burn.site)") }
        return lines.map { Visible.text($0) }
    }
}

extension AccountRecord {
    /// As far as it is shown.
    init(_ shown: CustomerReport.Account) {
        self.init()
        networks = shown.networks
        certificates = shown.certificates
        logins = shown.users.map { Login(user: $0, password: "", made: 0) }
        route = shown.route
        closed = shown.closed.map { Closure(by: $0.by, reason: $0.reason, since: 0) }
    }
}
