package import Mail

/// How much of us a receiver takes at a time; nil leaves it to the node and the pool.
package struct SiteLimits: Sendable, Hashable {
    /// Sessions at a time, opening and idle ones included; 1 or more.
    package var sessions: Int?
    /// Messages a session may carry, 1 or more; the pool's own limit stands beside it.
    package var messagesPerSession: Int?
    package var rate: Rate?

    package init(sessions: Int? = nil, messagesPerSession: Int? = nil, rate: Rate? = nil) {
        self.sessions = sessions
        self.messagesPerSession = messagesPerSession
        self.rate = rate
    }

    package var isEmpty: Bool { sessions == nil && messagesPerSession == nil && rate == nil }

    /// So many transactions in so long.
    package struct Rate: Sendable, Hashable, CustomStringConvertible {
        /// 1 or more.
        package var messages: Int
        /// 1 s or more.
        package var per: Timestamp.Span

        package init(messages: Int, per: Timestamp.Span) {
            self.messages = max(1, messages)
            self.per = max(.seconds(1), per)
        }

        package var description: String { "\(messages) messages in \(per.milliseconds / 1_000) s" }
    }
}

/// Limits, and whom they are for.
package struct SiteRule: Sendable, Hashable {
    package var name: String
    /// The receiver whose MX hosts have one of these names, or a name below one: all domains whose mail it takes count
    /// together. Empty: the recipient domain `name`.
    package var hosts: [String]
    package var limits: SiteLimits

    package init(name: String, hosts: [String] = [], limits: SiteLimits) {
        self.name = name
        self.hosts = hosts
        self.limits = limits
    }
}

/// Finds the rule for a domain and its hosts.
struct SiteRules {
    private var byDomain: [String: SiteRule] = [:]
    private var bySuffix: [String: SiteRule] = [:]

    /// The first of two rules for the same name wins.
    init(_ rules: [SiteRule]) {
        for rule in rules {
            if rule.hosts.isEmpty, byDomain[rule.name] == nil { byDomain[rule.name] = rule }
            for suffix in rule.hosts where bySuffix[suffix] == nil { bySuffix[suffix] = rule }
        }
    }

    /// The domain's own rule, else that of the host which mail goes to first; the longest suffix wins.
    func rule(domain: String, host: String?) -> SiteRule? {
        byDomain[domain] ?? provider(host: host)
    }

    /// The rule of the provider that the host is one of.
    func provider(host: String?) -> SiteRule? {
        guard !bySuffix.isEmpty, var name = host?[...] else { return nil }
        while true {
            if let rule = bySuffix[String(name)] { return rule }
            guard let dot = name.firstIndex(of: ".") else { return nil }
            name = name[name.index(after: dot)...]
        }
    }
}
