import Delivery
import Mail

/// What is asked of the ``ExplainDesk``.
struct ExplainRequest: Codable, Sendable, Hashable {
    /// Empty for <>.
    var sender: String
    var recipient: String
    var customer: String?
    /// Name each source, not only the first of a kind.
    var all: Bool?
}

/// How a message would go at this moment, as it goes over the control socket.
struct ExplainReport: Codable, Sendable, Hashable {
    /// Sources that stand in the way of themselves for the same reason.
    struct Group: Codable, Sendable, Hashable {
        var why: String
        var count: Int
        /// The first of them, or all.
        var sources: [String]
    }

    var sender: String
    var recipient: String
    var domain: String
    var customer: String?
    /// Why no host is known; the rest is missing then.
    var unknown: String?
    /// No retry will help: it fails.
    var fails: Bool?
    var route: String?
    var routeWhy: String?
    /// File and line of the route.
    var routePlace: String?
    /// `pool main/4`
    var steps: [String]?
    /// Why relays among the steps do not take this message, by the step's number from 1.
    var barred: [Int: String]?
    /// From 1.
    var step: Int?
    var pool: String?
    var messagesPerSession: Int?
    var site: SiteReport?
    var port: Int?
    var tls: String?
    var free: Group?
    var others: [Group]?

    /// Safe to show.
    var lines: [String] {
        var lines = ["mail      from <\(sender)> to <\(recipient)>" + (customer.map { ", customer \($0)" } ?? "")]
        if let unknown {
            lines.append("hosts     \(unknown)")
            lines.append(
                fails == true ? "so        it fails, and its sender is told" : "so        it waits and is tried again")
            return lines.map { Visible.text($0) }
        }
        return (lines + wayLines(at: "where it begins")).map { Visible.text($0) }
    }

    /// Route, receiver and sources.
    ///
    /// - Parameter at: what is said of the step that is used.
    func wayLines(at here: String) -> [String] {
        var lines = [
            "route     \(route ?? "?")" + (routePlace.map { " (\($0))" } ?? "") + ", \(routeWhy ?? "?")"
        ]
        for (index, text) in (steps ?? []).enumerated() {
            lines.append("step \(index + 1)    \(text)" + (index + 1 == step ? ", \(here)" : ""))
            if let why = barred?[index + 1] { lines.append("          goes past it: \(why)") }
        }
        if let step, step > steps?.count ?? 0 { lines.append("steps     all are spent: one source at each retry") }
        lines += site?.lines.filter { !$0.hasPrefix("waiting") } ?? []
        lines.append(
            "session   to port \(port ?? 0), TLS \(tls ?? "?"), at most \(messagesPerSession ?? 0) messages in each")
        if let free { lines.append("sources   \(free.count) of pool \(pool ?? "?") may be drawn: \(free.named)") }
        for group in others ?? [] { lines.append("          \(group.count) not, \(group.why): \(group.named)") }
        return lines
    }
}

extension ExplainReport.Group {
    fileprivate var named: String {
        sources.isEmpty
            ? "none"
            : sources.joined(separator: " ") + (count > sources.count ? " and \(count - sources.count) more" : "")
    }
}

extension ExplainReport {
    /// Sources of a group that are named where not all are asked for.
    static let named = 5

    /// - Parameter objections: why relays do not take the message that is asked about, by their names.
    mutating func tell(
        _ answer: Result<RouteExplanation, UnknownHosts>?, all: Bool, objections: [String: String] = [:]
    ) {
        switch answer {
        case .success(let found):
            tell(found, all: all)
            for (index, step) in found.steps.enumerated() {
                guard case .relay(let name, _) = step, let why = objections[name] else { continue }
                barred = (barred ?? [:]).merging([index + 1: why]) { $1 }
            }
        case .failure(let unknown):
            self.unknown = unknown.why
            fails = unknown.isFinal
        case nil:
            unknown = "the resolver does not answer"
            fails = false
        }
    }

    private mutating func tell(_ found: RouteExplanation, all: Bool) {
        route = found.route
        routePlace = found.place.isEmpty ? nil : found.place
        routeWhy = found.why
        steps = found.steps.map(\.description)
        step = found.first + 1
        pool = found.pool
        messagesPerSession = found.messagesPerSession
        site = SiteReport(found.site, hosts: true)
        port = found.port
        tls = found.tls.rawValue
        let limit = all ? Int.max : Self.named
        var groups: [String: Group] = [:]
        var order: [String] = []
        for verdict in found.sources {
            let why = verdict.obstacle?.said ?? ""
            if groups[why] == nil {
                groups[why] = Group(why: why, count: 0, sources: [])
                order.append(why)
            }
            groups[why]?.count += 1
            if (groups[why]?.sources.count ?? 0) < limit {
                groups[why]?.sources.append("\(verdict.source.name)(\(verdict.source.address))")
            }
        }
        free = groups[""] ?? Group(why: "", count: 0, sources: [])
        others = order.filter { !$0.isEmpty }.compactMap { groups[$0] }
    }
}

extension RouteExplanation.Obstacle {
    fileprivate var said: String {
        switch self {
        case .held(let hold):
            "\(hold.kind.rawValue) by \(hold.order.by), \(hold.order.reason)"
                + (hold.order.until.map { ", until \(UTCTime.text($0))" } ?? "")
        case .unbound(let unbound): "cannot be used here, \(unbound.why)"
        case .cooling(let rest): "refused by this receiver, cause \(rest.cause.rawValue), \(rest.rule)"
        case .rangeCooling(let range, let rest):
            "of the range \(range), which this receiver refused: \(rest.reply), until \(UTCTime.text(rest.until))"
        case .probing(let rest):
            "refused before, cause \(rest.cause.rawValue), \(rest.rule): may show one message now, to see"
        case .awaitingProbe(let range, let until):
            "of the range \(range), of which one source at a time is shown: the next at \(UTCTime.text(until))"
        case .family: "of a family that this receiver has no address of"
        case .tried: "from which this message was refused before"
        case .notPinned(let source): "because the message keeps to \(source)"
        }
    }
}

extension RouteExplanation {
    /// Why the route is this one.
    fileprivate var why: String {
        if isAssigned { return "which the customer's account names" }
        return when.isEmpty && route != "default" ? "which is for customers whose accounts name it" : when.said
    }
}

extension IPMap.Condition {
    /// Which mail a route with it is for.
    fileprivate var said: String {
        func named(_ what: String, _ names: Set<String>) -> String? {
            names.isEmpty ? nil : "\(what) \(names.sorted().joined(separator: " or "))"
        }
        let conditions = [
            nullSender ? "from <>" : nil, named("of customer", customers), named("from", senderDomains),
            named("to", recipientDomains), named("for the receiver", sites), named("with the verdict", verdicts),
        ].compactMap(\.self)
        return conditions.isEmpty
            ? "which all mail takes that no other route is for"
            : "which is for mail " + conditions.joined(separator: " and ")
    }
}
