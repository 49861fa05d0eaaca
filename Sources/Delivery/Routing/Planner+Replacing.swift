import DNS
package import Mail

/// What a reload changes.
package struct PlannerReplacement: Sendable {
    package var configuration: PlannerConfiguration
    package var map: IPMap
    package var rules: ReplyRules

    package init(configuration: PlannerConfiguration, map: IPMap, rules: ReplyRules) {
        self.configuration = configuration
        self.map = map
        self.rules = rules
    }
}

extension Planner {
    /// Goes on with other settings. What is on the wire ends as it would have; sessions from sources that are gone
    /// carry nothing after it.
    package mutating func replace(_ new: PlannerReplacement, at now: Timestamp) {
        self.now = now
        configuration = new.configuration
        rules = new.rules
        let fixed = table.sites
        table = SourceTable(new.map, after: table, used: Set(sessions.values.map(\.source)))
        while tallies.count < table.sources.count { tallies.append(SourceTally()) }
        for number in table.renewed {
            unbound[number] = nil
            tallies[number] = SourceTally()
        }
        for receiver in receivers.values {
            for number in table.renewed { receiver.takers.remove(number) }
        }
        let rules = Dictionary(new.map.rules.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        allowances = allowances.filter { name, allowance in
            (relay(at: name).map { SiteRule(name: name, limits: $0.limits) } ?? rules[name]) == allowance.rule
        }
        for site in sites.values where !site.isRelay {
            site.receiver = receiver(of: site.key, host: site.hosts.first?.name)
            let rule = table.rules.rule(domain: site.key.domain ?? "", host: site.hosts.first?.name)
            site.allowance = rule.map { allowance(of: $0) }
            heed(site)
        }
        replaceRelays()
        // Who takes a domain's mail, and by which rule, is asked again with its next message.
        for domain in domains.keys { domains[domain]?.checked = Timestamp(milliseconds: 0) }
        for domain in Set(fixed.keys).union(table.sites.keys) where fixed[domain] != table.sites[domain] {
            guard domains[domain] != nil else { continue }
            domains[domain]?.blocked = nil
            actions.append(.postpone(domain: domain, until: now))
        }
        hold()
        wake { $0 == .sources || $0 == .rate }
    }
}
