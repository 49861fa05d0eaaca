package import DNS
package import Mail
package import Queue

/// Whose way is asked for.
package struct RouteQuestion: Sendable {
    package var customer: String
    package var sender: ReversePath
    /// Of the recipients, in lower case.
    package var domain: String
    /// A message that is in the queue, with what is remembered of it; nil for one that has yet to come.
    package var underway: (message: MessageID, progress: Progress)?

    package init(
        customer: String, sender: ReversePath, domain: String,
        underway: (message: MessageID, progress: Progress)? = nil
    ) {
        self.customer = customer
        self.sender = sender
        self.domain = domain
        self.underway = underway
    }
}

/// How a message would go at this moment.
package struct RouteExplanation: Sendable {
    package var route: String
    /// File and line of the route; empty where it is of no file.
    package var place: String
    /// Which mail the route is for.
    package var when: IPMap.Condition
    /// It was chosen because the customer's account names it.
    package var isAssigned: Bool
    package var steps: [IPMap.Step]
    /// The step that is used first; the others before it have no source that may be used. As many as there are steps:
    /// all are spent, and each retry has one source.
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
    /// The session that carries it at this moment.
    package var onWire: OnWire?
    /// It is in memory and waits for a session.
    package var isInMemory: Bool

    package struct OnWire: Sendable, Hashable {
        package var source: Source
        package var host: String
        package var address: IPAddress
    }

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
        /// The receiver refused this message from it.
        case tried
        /// The message keeps to another one.
        case notPinned(String)
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
        if let relay = relay(at: domain) { return .host(relay.host, domain: domain) }
        guard let fixed = table.sites[domain] else { return .mail(domain: domain) }
        return .host(fixed.host, domain: domain)
    }

    /// - Parameter found: the hosts that take the domain's mail, as the resolver has them.
    package mutating func explain(
        _ question: RouteQuestion, _ found: HostSet, at now: Timestamp
    ) -> RouteExplanation {
        self.now = now
        let progress = question.underway?.progress
        let site = place(of: question.domain, found)
        let route = routeName(of: question, at: site)
        let steps = table.steps(of: route)
        let step = progress?.step ?? 0
        let pool = table.pool(of: route, step: step)
        var state = state(of: site, hosts: false)
        state.hosts = hosts(of: found.hosts, at: site)
        if let block = block(of: question.domain) { state.block = SiteState.Block(block) }
        let families = Set(
            found.hosts.flatMap(\.addresses).filter { !site.forbidden.contains($0) }.map(\.isIPv4))
        let key = question.underway.map { WorkKey(message: $0.message, domain: question.domain) }
        return RouteExplanation(
            route: route, place: table.routes[route]?.place ?? "", when: table.routes[route]?.when ?? .init(),
            isAssigned: table.choice.isAssigned(route, to: question.customer), steps: steps,
            first: min(table.usable(route, from: step), steps.count), pool: pool?.name,
            messagesPerSession: min(
                pool?.messagesPerSession ?? 1, site.allowance?.rule.limits.messagesPerSession ?? .max),
            site: state, port: site.key.port, tls: site.key.tls,
            sources: (pool?.all ?? []).map { number in
                RouteExplanation.SourceVerdict(
                    source: table.sources[number], obstacle: obstacle(number, progress, at: site, families))
            },
            onWire: key.flatMap { onWire($0) }, isInMemory: key.map { isWaiting($0, at: site) } ?? false)
    }

    /// That of a message which has one, where the map still has it; else the one that it would get.
    private func routeName(of question: RouteQuestion, at site: Site) -> String {
        if let name = question.underway?.progress.route, name != "default", table.routes[name] != nil { return name }
        return table.choice.route(
            of: RouteChoice.Mail(
                customer: question.customer, sender: question.sender, domain: question.domain,
                site: [site.allowance?.rule.name].compactMap(\.self) + site.hosts.map(\.name),
                verdict: question.underway?.progress.verdict))
    }

    private func onWire(_ key: WorkKey) -> RouteExplanation.OnWire? {
        let carrying = sessions.values.first { session in
            session.parcel?.pieces.contains { $0.work.key == key && $0.wired > 0 } ?? false
        }
        return carrying.map {
            RouteExplanation.OnWire(
                source: table.sources[$0.source], host: $0.plan.host, address: $0.plan.address)
        }
    }

    private func isWaiting(_ key: WorkKey, at site: Site) -> Bool {
        func has(_ parcel: Parcel) -> Bool { parcel.pieces.contains { $0.work.key == key } }
        return site.picky.first(where: has) != nil || site.plain.some(site.plain.count).contains(where: has)
            || domains[key.domain]?.waiting.contains(where: has) ?? false
    }

    private func obstacle(
        _ number: Int, _ progress: Progress?, at site: Site, _ families: Set<Bool>
    ) -> RouteExplanation.Obstacle? {
        if let hold = held[number] { return .held(hold) }
        if let unbound = unbound[number], unbound.until > now { return .unbound(unbound) }
        if !families.contains(table.sources[number].address.isIPv4) { return .family }
        let name = table.sources[number].name
        if let pinned = progress?.pinned, let keeper = table.number(of: pinned), held[keeper] == nil {
            return pinned == name ? nil : .notPinned(pinned)
        }
        if progress?.tried.contains(name) == true { return .tried }
        return rest(of: table.sources[number], at: site.receiver)
    }

    /// What the receiver's refusals before say against it.
    private func rest(of source: Source, at receiver: Receiver) -> RouteExplanation.Obstacle? {
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
