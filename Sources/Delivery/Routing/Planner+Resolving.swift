package import DNS
package import Mail
import Queue

/// From a recipient's domain to the site that takes its mail.
extension Planner {
    /// How long a domain keeps its site before the resolver (whose own cache knows the TTL) is asked again.
    private static let siteFreshness = Timestamp.Span.seconds(60)

    /// The site of a domain; nil while it is being asked for.
    mutating func site(of domain: String) -> Site? {
        if let state = domains[domain] {
            if let site = state.site, now - state.checked < Self.siteFreshness { return site }
            if state.resolving { return nil }
        }
        domains[domain, default: DomainState()].resolving = true
        actions.append(.resolve(lookup(of: domain)))
        return nil
    }

    func block(of domain: String) -> Site.Block? {
        if let order = orders.suspensions[domain] { return order.block(of: domain) }
        if isOff, relay(at: domain) == nil, let block = offBlock() { return block }
        guard let state = domains[domain] else { return nil }
        if let block = state.blocked, block.until > now { return block }
        if let block = state.site?.blocked, block.until > now { return block }
        return nil
    }

    /// The resolver's answer.
    package mutating func resolved(_ lookup: HostQuery, _ resolution: Resolution, at now: Timestamp) {
        self.now = now
        let domain = lookup.domain
        endAsking(domain)
        var state = domains[domain] ?? DomainState()
        let waiting = state.waiting
        state.waiting = []
        state.resolving = false
        state.checked = now
        switch resolution {
        case .hosts(let hosts):
            let site = site(for: domain, hosts)
            state.site = site
            state.blocked = nil
            state.failures = 0
            if state.more { site.domainsWithMore.append(domain) }
            state.more = false
            if state.failing, !site.proven { site.failing = true }
            state.failing = false
            liftLate(&state, at: site)
            domains[domain] = state
            for parcel in waiting { join(parcel, site) }
            if let block = site.blocked, block.until > now {
                clear(site, until: block.until)
            } else {
                dispatch(site)
            }
        case .never, .later:
            if relay(at: domain) != nil {
                domains[domain] = state
                return relayUnknown(domain, waiting, why: resolution.said(of: domain))
            }
            unresolved(domain, resolution, &state, waiting)
        }
    }

    /// Nobody is known to take the domain's mail, for good or for now.
    private mutating func unresolved(
        _ domain: String, _ resolution: Resolution, _ state: inout DomainState, _ waiting: [Parcel]
    ) {
        switch resolution {
        case .hosts: break
        case .never(let reason):
            state.site = nil
            state.more = false
            domains[domain] = state
            for parcel in waiting { fail(parcel, domain: domain, reason: reason) }
        case .later(let why):
            state.site = nil
            state.more = false
            let until = now + wait(round: state.failures)
            state.failures += 1
            state.failing = true
            state.blocked = Site.Block(until: until, why: why)
            domains[domain] = state
            let refusal = Refusal(
                host: nil, phase: .resolve, answer: .trouble(.timeout, why), cause: .host, at: now)
            for parcel in waiting.prefix(Self.tracedAtOnce) {
                for index in parcel.pieces.indices
                where parcel.pieces[index].work.progress.lastRefusal != refusal.description {
                    parcel.pieces[index].work.progress.firstRefusal.note(refusal)
                    parcel.pieces[index].work.progress.lastRefusal = refusal.description
                    parcel.pieces[index].noted = true
                }
                traceUnattempted(parcel, site: domain, .trouble(.timeout, why), phase: .resolve, next: until)
            }
            giveBack(waiting, at: nil)
            actions.append(.postpone(domain: domain, until: until))
        }
    }

    /// How many of the messages that wait for a place get a line in their trace when that place fails: enough for an
    /// operator to see it on any recent message, few enough that a dead site with a million messages costs nothing.
    static let tracedAtOnce = 20

    private mutating func site(for domain: String, _ found: HostSet) -> Site {
        let (key, rule) = key(of: domain, found)
        if let site = sites[key] {
            site.hosts = found.hosts
            site.receiver = receiver(of: key, host: found.hosts.first?.name)
            heed(site)
            return site
        }
        let site = Site(
            key: key, hosts: found.hosts, receiver: receiver(of: key, host: found.hosts.first?.name),
            allowance: rule.map { allowance(of: $0) })
        sites[key] = site
        heed(site)
        return site
    }

    func key(of domain: String, _ found: HostSet) -> (SiteKey, SiteRule?) {
        if let relay = relay(at: domain) {
            let key = SiteKey(hosts: found.key, port: relay.port, tls: relay.tls, domain: nil, relay: relay.name)
            return (key, SiteRule(name: domain, limits: relay.limits))
        }
        let fixed = table.sites[domain]
        let rule = table.rules.rule(domain: domain, host: found.hosts.first?.name)
        let key = SiteKey(
            hosts: found.key, port: fixed?.port ?? configuration.port, tls: fixed?.tls ?? .opportunistic,
            domain: rule?.hosts.isEmpty == true ? domain : nil)
        return (key, rule)
    }

    mutating func allowance(of rule: SiteRule) -> Allowance {
        if let known = allowances[rule.name] { return known }
        let allowance = Allowance(rule)
        allowances[rule.name] = allowance
        return allowance
    }

    /// Moves a parcel that waited for an answer to its site; works of one message meet again there.
    private mutating func join(_ parcel: Parcel, _ site: Site) {
        site.works += parcel.pieces.count
        if site.proven { unproven -= parcel.pieces.count }
        for index in parcel.pieces.indices {
            parcel.pieces[index].work = routed(parcel.pieces[index].work, at: site)
        }
        let isElsewhere = !site.isRelay && parcel.relay != nil
        guard isElsewhere else { return enqueue(parcel, at: site) }
        // Its route has the relay as its first step.
        for piece in parcel.pieces {
            letGo(of: piece.work, at: site)
            readmit(piece.work)
        }
    }

    private mutating func fail(_ parcel: Parcel, domain: String, reason: Resolution.NoHosts) {
        let why = reason.said(of: domain)
        let quoted = Refusal(
            host: nil, phase: .resolve, answer: .trouble(.forbidden, why), cause: .domain, at: now,
            status: reason.status)
        giveBackLate(parcel, at: nil)
        for piece in parcel.pieces {
            letGo(of: piece.work, at: nil)
            let recipients = piece.work.recipients
            settlements.append(
                Settlement(
                    key: piece.work.key,
                    ended: recipients.map {
                        Settlement.Ended(recipient: $0, how: .failed, reason: why, at: now, quoted: quoted)
                    },
                    remaining: nil))
            actions.append(
                .trace(
                    .attempted(
                        TraceEvent.Attempt(
                            id: nextAttempt(), message: parcel.message.id, at: now, site: domain,
                            recipients: recipients, phase: .resolve, trouble: why, cause: .domain,
                            decision: "failed", why: "no retry will help"))))
            traceEnd(parcel.message.id, recipients, .failed, why)
        }
    }

    /// Forgets domains and sites of which nothing is known or waiting, so that memory follows the mail under way.
    mutating func forgetQuietPlaces() {
        guard domains.count > forgetAbove else { return }
        let now = now
        domains = domains.filter { _, state in
            state.resolving || state.promised > 0 || state.asked != nil
                || !state.waiting.isEmpty || (state.blocked?.until ?? now) > now
                || (state.site?.sessions ?? 0) > 0 || (state.site?.works ?? 0) > 0
        }
        let used = Set(domains.values.compactMap { $0.site.map(ObjectIdentifier.init) })
        sites = sites.filter { _, site in
            site.sessions > 0 || site.works > 0 || used.contains(ObjectIdentifier(site))
                || (site.blocked.map { $0.until > now && $0.kind != .suspended } ?? false)
        }
        let kept = Set(sites.values.map { ObjectIdentifier($0.receiver) })
        receivers = receivers.filter { _, receiver in !receiver.isBlank || kept.contains(ObjectIdentifier(receiver)) }
        forgetAbove = max(10_000, domains.count * 2)
    }
}

extension Resolution {
    fileprivate func said(of domain: String) -> String {
        switch self {
        case .hosts: ""
        case .never(let reason): reason.said(of: domain)
        case .later(let why): why
        }
    }
}

extension Resolution.NoHosts {
    func said(of domain: String) -> String {
        switch self {
        case .noSuchDomain: "the domain \(domain) does not exist"
        case .nullMX: "the domain \(domain) takes no mail (null MX)"
        case .noUsableHost(let detail): "no host takes mail for \(domain): \(detail)"
        }
    }

    /// RFC 3463 section 3, and RFC 7505 section 4.2 for a null MX.
    fileprivate var status: EnhancedStatus {
        switch self {
        case .noSuchDomain: EnhancedStatus(5, 1, 2)
        case .nullMX: EnhancedStatus(5, 1, 10)
        case .noUsableHost: EnhancedStatus(5, 4, 4)
        }
    }
}
