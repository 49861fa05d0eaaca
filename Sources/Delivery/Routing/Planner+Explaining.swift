package import DNS
package import Mail

/// How a message would go at this moment.
package struct RouteExplanation: Sendable {
    package var route: String
    /// It has a route of its own, being from <>.
    package var isNullSender: Bool
    package var steps: [IPMap.Step]
    /// The step that is used first; the others before it have no source that may be used.
    package var first: Int
    /// Its pool; a relay's has the relay's name.
    package var pool: String?
    /// Messages that a session of its pool carries at most.
    package var messagesPerSession: Int
    package var site: SiteState
    package var port: Int
    package var tls: TLSNeed
    /// Every source of the pool of that step.
    package var sources: [SourceVerdict]

    package struct SourceVerdict: Sendable {
        package var source: Source
        /// nil: it may be drawn.
        package var obstacle: Obstacle?
    }

    package enum Obstacle: Sendable, Hashable {
        case held(StandingOrders.Hold)
        case unbound(Unbound)
        /// The receiver refused it.
        case cooling(Cooldown)
        /// The receiver refused its range.
        case rangeCooling(String, Cooldown)
        /// It was refused and may be shown again, with one message to see; no obstacle to that one.
        case probing(Cooldown)
        /// It was refused, or its range was, and others are shown first.
        case awaitingProbe(range: String, until: Timestamp)
        /// No host has an address of its family.
        case family
    }
}

/// Why a domain's hosts are not known.
package struct UnknownHosts: Error, Sendable, Hashable {
    /// No retry will help: its mail fails.
    package var isFinal: Bool
    package var why: String
}

extension Planner {
    /// The fixed way that the map has for a domain.
    package func lookup(of domain: String) -> HostQuery {
        guard let fixed = table.sites[domain] else { return .mail(domain: domain) }
        return .host(fixed.host, domain: domain)
    }

    /// - Parameter found: the hosts that take the domain's mail, as the resolver has them.
    package mutating func explain(
        nullSender: Bool, domain: String, _ found: HostSet, at now: Timestamp
    ) -> RouteExplanation {
        self.now = now
        let route = table.choice.route(
            of: RouteChoice.Mail(
                customer: "", sender: nullSender ? .null : .address(Address(localPart: "", domain: "")),
                domain: domain, site: [], verdict: nil))
        let steps = table.steps(of: route)
        let first = table.usable(route, from: 0)
        let pool = table.pool(of: route, step: 0)
        let site = place(of: domain, found)
        var state = state(of: site, hosts: false)
        state.hosts = hosts(of: found.hosts, at: site)
        if let block = block(of: domain) { state.block = SiteState.Block(block) }
        let families = Set(
            found.hosts.flatMap(\.addresses).filter { !site.forbidden.contains($0) }.map(\.isIPv4))
        return RouteExplanation(
            route: route, isNullSender: nullSender && route != "default", steps: steps, first: first,
            pool: pool?.name,
            messagesPerSession: min(
                pool?.messagesPerSession ?? 1, site.allowance?.rule.limits.messagesPerSession ?? .max),
            site: state, port: site.key.port, tls: site.key.tls,
            sources: (pool?.all ?? []).map { number in
                RouteExplanation.SourceVerdict(
                    source: table.sources[number], obstacle: obstacle(number, at: site, families))
            })
    }

    private func obstacle(_ number: Int, at site: Site, _ families: Set<Bool>) -> RouteExplanation.Obstacle? {
        if let hold = held[number] { return .held(hold) }
        if let unbound = unbound[number], unbound.until > now { return .unbound(unbound) }
        if !families.contains(table.sources[number].address.isIPv4) { return .family }
        let receiver = site.receiver
        let source = table.sources[number]
        if let rest = receiver.paths[source.address]?.cooldown, rest.until > now { return .cooling(rest) }
        switch receiver.standing(of: source, at: now) {
        case .free: return nil
        case .probe:
            return (receiver.paths[source.address]?.cooldown ?? receiver.ranges[source.range]?.cooldown).map {
                .probing($0)
            }
        case .rests(let until):
            guard let rest = receiver.ranges[source.range]?.cooldown, rest.until > now else {
                return .awaitingProbe(range: source.range, until: until)
            }
            return .rangeCooling(source.range, rest)
        }
    }

    /// The site that the domain's mail would wait at; one that is not known yet is made up and not kept.
    private func place(of domain: String, _ found: HostSet) -> Site {
        let (key, rule) = key(of: domain, found)
        if let site = sites[key] { return site }
        let name = receiverName(of: key, host: found.hosts.first?.name)
        let site = Site(
            key: key, hosts: found.hosts, receiver: receivers[name] ?? Receiver(name: name),
            allowance: rule.map { allowances[$0.name] ?? Allowance($0) })
        if let (name, order) = suspension(of: site) { site.blocked = order.block(of: name) }
        return site
    }
}
