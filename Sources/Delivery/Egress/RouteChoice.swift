import Mail
import Queue

/// Which route a message takes: of those whose conditions all hold, the most specific one.
///
/// A route with more conditions is more specific. Of as many, the one that names what comes first in this order:
/// customer, sender, recipient domain, site, verdict; a domain itself comes before `*.` of it. Routes that are still
/// equal are taken by name, so that the choice never depends on chance. A route that a customer's account names counts
/// as one that asks for this customer alone, and comes before all others that ask for one thing.
struct RouteChoice {
    /// What a route may ask about.
    struct Mail {
        var customer: String
        var sender: ReversePath
        /// Of the recipient, in lower case.
        var domain: String
        /// Names that the receiver goes by: that of its limits, those of its hosts, best first.
        var site: [String]
        var verdict: String?
    }

    private struct Candidate {
        var name: String
        var when: IPMap.Condition
    }

    /// The most specific first; those that name a customer stand with it alone.
    private var general: [Candidate] = []
    private var byCustomer: [String: [Candidate]] = [:]
    /// Names of routes that customers' accounts name, whether the map has them or not.
    let assigned: [String: String]
    /// Those of them that the map has.
    private let given: [String: String]

    init(_ routes: [String: IPMap.Route], assigned: [String: String] = [:]) {
        self.assigned = assigned
        given = assigned.filter { routes[$0.value] != nil }
        let all = routes.filter { $0.key != "default" && !$0.value.when.isEmpty }
            .map { Candidate(name: $0.key, when: $0.value.when) }
            .sorted { left, right in
                let (first, second) = (left.when.specificity, right.when.specificity)
                return first == second ? left.name < right.name : first.lexicographicallyPrecedes(second)
            }
        for candidate in all {
            if candidate.when.customers.isEmpty { general.append(candidate) }
            for customer in candidate.when.customers { byCustomer[customer, default: []].append(candidate) }
        }
    }

    /// Every message takes `default`.
    var isTrivial: Bool { general.isEmpty && byCustomer.isEmpty && given.isEmpty }

    func route(of mail: Mail) -> String {
        guard !isTrivial else { return "default" }
        let own = byCustomer[mail.customer]?.first { $0.when.holds(for: mail) }
        let common = general.first { $0.when.holds(for: mail) }
        var best = own ?? common
        if let own, let common {
            // Lower comes first.
            best = common.when.specificity.lexicographicallyPrecedes(own.when.specificity) ? common : own
        }
        if let name = given[mail.customer] {
            let isBeaten = best?.when.specificity.lexicographicallyPrecedes(Self.assignment) ?? false
            if !isBeaten { return name }
        }
        return best?.name ?? "default"
    }

    /// The account of this customer has a route that the map has, and this is it.
    func isAssigned(_ route: String, to customer: String) -> Bool { given[customer] == route }

    private static let assignment = IPMap.Condition(customers: [""]).specificity
}

extension IPMap.Condition: CustomStringConvertible {
    /// In words: `customer acme, recipient domain example.org`.
    package var description: String {
        let named = [
            ("customer", customers), ("sender domain", senderDomains), ("recipient domain", recipientDomains),
            ("site", sites), ("verdict", verdicts),
        ]
        let words = named.filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.sorted().joined(separator: " or "))" }
        return ((nullSender ? ["the sender <>"] : []) + words).joined(separator: ", ")
    }

    package var isEmpty: Bool { self == IPMap.Condition() }

    /// Orders conditions, the most specific first when compared element by element.
    var specificity: [Int] {
        let asked = [
            !customers.isEmpty, nullSender || !senderDomains.isEmpty, !recipientDomains.isEmpty, !sites.isEmpty,
            !verdicts.isEmpty,
        ]
        let wide = [senderDomains, recipientDomains].map { $0.contains { $0.hasPrefix("*.") } ? 1 : 0 }
        return [-asked.count { $0 }] + asked.map { $0 ? 0 : 1 } + wide
    }

    func holds(for mail: RouteChoice.Mail) -> Bool {
        guard customers.isEmpty || customers.contains(mail.customer) else { return false }
        guard !nullSender || mail.sender == .null else { return false }
        guard senderDomains.isEmpty || mail.sender.domain.map({ Self.names(senderDomains, $0) }) ?? false else {
            return false
        }
        guard recipientDomains.isEmpty || Self.names(recipientDomains, mail.domain) else { return false }
        guard verdicts.isEmpty || mail.verdict.map(verdicts.contains) ?? false else { return false }
        return sites.isEmpty || mail.site.contains { Self.lies($0, in: sites) }
    }

    /// Whether the domain is one of these, or lies below one that begins with `*.`.
    private static func names(_ domains: Set<String>, _ domain: String) -> Bool {
        if domains.contains(domain) { return true }
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if domains.contains("*." + rest) { return true }
        }
        return false
    }

    /// Whether the name is one of these or lies below one.
    private static func lies(_ name: String, in names: Set<String>) -> Bool {
        var rest = name[...]
        while true {
            if names.contains(String(rest)) { return true }
            guard let dot = rest.firstIndex(of: ".") else { return false }
            rest = rest[rest.index(after: dot)...]
        }
    }
}

extension RouteChoice.Mail {
    init(_ work: Work, site: [String]) {
        self.init(
            customer: work.message.customer, sender: work.message.sender, domain: work.domain, site: site,
            verdict: work.progress.verdict)
    }
}

extension ReversePath {
    /// In lower case; nil for <>.
    fileprivate var domain: String? {
        if case .address(let address) = self { return address.domain.lowercased() }
        return nil
    }
}
