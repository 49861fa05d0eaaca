import DNS
package import Mail

/// A source as the planner sees it.
package struct KnownSource: Sendable {
    package var source: Source
    package var tally: SourceTally
    package var hold: StandingOrders.Hold?
    package var unbound: Unbound?
    /// Receivers that it rests for, by the cause of their refusal.
    package var cooling: [Cause: Int]
}

/// A receiver that a source rests for, or is shown again one message at a time.
package struct CoolingPath: Sendable, Hashable {
    package var site: String
    package var cooldown: Cooldown
}

/// A receiver as the planner sees it.
package struct SiteState: Sendable {
    /// As traces have it: the host that mail goes to first.
    package var name: String
    /// The rule that limits it; nil where the node's limits count.
    package var rule: SiteRule?
    /// Limits in force.
    package var limit: Int
    package var busy: Int
    package var idle: Int
    package var opening: Int
    /// Works in memory that no session carries; the store may have more.
    package var waiting: Int
    /// Sources that rest for it, by cause.
    package var cooling: [Cause: Int]
    package var block: Block?
    /// What is known of the way there.
    package var receiver: ReceiverState
    package var hosts: [Host]

    package struct Block: Sendable, Hashable {
        package var why: String
        /// nil: until it is taken back.
        package var until: Timestamp?
        package var isSuspended: Bool
        /// It is because of what an operator said, not because of the receiver.
        package var isOperators: Bool
    }

    package struct Host: Sendable, Hashable {
        package var name: String
        package var preference: UInt16
        package var addresses: [Address]
    }

    package struct Address: Sendable, Hashable {
        package var address: IPAddress
        /// It took no session: set aside until then, so many times in a row.
        package var rests: Timestamp?
        package var failures: Int
        package var withoutTLS: Timestamp?
        package var offers: HostOffers?
        package var isForbidden: Bool
    }
}

extension Planner {
    package mutating func sources(at now: Timestamp) -> [KnownSource] {
        self.now = now
        var cooling: [IPAddress: [Cause: Int]] = [:]
        for receiver in receivers.values {
            for (address, path) in receiver.paths {
                guard let rest = path.cooldown, rest.until > now else { continue }
                cooling[address, default: [:]][rest.cause, default: 0] += 1
            }
        }
        return table.current.sorted().map { number in
            KnownSource(
                source: table.sources[number], tally: tallies[number], hold: held[number],
                unbound: unbound[number].flatMap { $0.until > now ? $0 : nil },
                cooling: cooling[table.sources[number].address] ?? [:])
        }
    }

    /// Receivers that a source rests for, the longest first.
    package mutating func paths(of source: String, at now: Timestamp, limit: Int) -> [CoolingPath] {
        guard let number = table.number(of: source) else { return [] }
        let address = table.sources[number].address
        let paths = receivers.values.compactMap { receiver -> CoolingPath? in
            receiver.paths[address]?.cooldown.map { CoolingPath(site: receiver.name, cooldown: $0) }
        }
        return Array(
            paths.sorted { ($1.cooldown.until, $0.site) < ($0.cooldown.until, $1.site) }.prefix(limit))
    }

    /// All sites in memory, without their hosts.
    package mutating func sites(at now: Timestamp) -> [SiteState] {
        self.now = now
        return sites.values.map { state(of: $0, hosts: false) }
    }

    /// Sites of that name: a rule's, a host's, or a recipient domain.
    package mutating func sites(named name: String, at now: Timestamp) -> [SiteState] {
        self.now = now
        let found = sites.values.filter { site in
            site.allowance?.rule.name == name || site.receiver.name == name || site.key.domain == name
                || site.hosts.contains { $0.name == name }
        }
        if found.isEmpty, let site = domains[name]?.site { return [state(of: site, hosts: true)] }
        return found.map { state(of: $0, hosts: true) }
    }

    /// Why nothing is sent to a domain at this moment; nil when nothing is known to stand in the way.
    package mutating func hindrance(of domain: String, at now: Timestamp) -> SiteState.Block? {
        self.now = now
        return block(of: domain).map(SiteState.Block.init)
    }

    func state(of site: Site, hosts: Bool) -> SiteState {
        var cooling: [Cause: Int] = [:]
        for rest in site.receiver.paths.values.lazy.compactMap(\.cooldown) where rest.until > now {
            cooling[rest.cause, default: 0] += 1
        }
        let block = site.blocked.flatMap { $0.until > now ? SiteState.Block($0) : nil }
        return SiteState(
            name: site.name, rule: site.allowance?.rule, limit: site.limit(configuration.sessionsPerSite, at: now),
            busy: site.sessions - site.opening - site.idle.count, idle: site.idle.count, opening: site.opening,
            waiting: site.waiting, cooling: cooling, block: block, receiver: state(of: site.receiver),
            hosts: hosts ? self.hosts(of: site.hosts, at: site) : [])
    }

    func hosts(of hosts: [HostSet.Host], at site: Site) -> [SiteState.Host] {
        hosts.map { host in
            SiteState.Host(
                name: host.name, preference: host.preference,
                addresses: host.addresses.map { address in
                    let memory = memory(of: address, at: site)
                    return SiteState.Address(
                        address: address, rests: memory?.rests.flatMap { $0 > now ? $0 : nil },
                        failures: memory?.failures ?? 0, withoutTLS: memory?.withoutTLS.flatMap { $0 > now ? $0 : nil },
                        offers: memory?.offers.flatMap { $0.until > now ? $0.0 : nil },
                        isForbidden: site.forbidden.contains(address))
                })
        }
    }
}

extension SiteState.Block {
    init(_ block: Site.Block) {
        self.init(
            why: block.why, until: block.until == .distantFuture ? nil : block.until,
            isSuspended: block.kind == .suspended, isOperators: block.isOperators)
    }
}
