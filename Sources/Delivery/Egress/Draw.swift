import DNS
import Mail

/// Which source and which host a session is opened with.
enum Draw {
    case path(source: Int, target: Target)
    /// No host there may be connected to at all.
    case never(String)
    /// Hosts or sources rest.
    case notNow(until: Timestamp, why: String, kind: Site.Block.Kind)
    /// An operator keeps all its sources from being used.
    case off(until: Timestamp, why: String)
    /// This parcel has no source left, though others have.
    case tooPicky

    struct Target {
        var host: String
        var address: IPAddress
        var tls: TLSNeed
    }
}

extension Planner {
    /// Draws uniformly among the sources that are free for the site, of a family its best hosts have (where some were
    /// refused, among those far from them); then one of those hosts, at random among equals (RFC 5321 section 5.1).
    mutating func draw(for parcel: Parcel?, at site: Site) -> Draw {
        if !site.isRelay, let off = operatorsHold(route: parcel?.route ?? "default", step: parcel?.step ?? 0) {
            return off
        }
        let tiers = reachable(site, passing: parcel?.passed ?? [])
        guard !tiers.isEmpty else {
            if site.hosts.allSatisfy({ $0.addresses.allSatisfy(site.forbidden.contains) }) {
                return .never("every host of \(site.name) has an address that may not be connected to")
            }
            // The hosts it has not seen yet rest; others may use those it has.
            if let parcel, !parcel.passed.isEmpty { return .tooPicky }
            return .notNow(until: hostsRest(site), why: "no host of \(site.name) answers", kind: .receiver)
        }
        for tier in tiers {
            let families = Set(tier.map { $0.address.isIPv4 })
            if let source = drawSource(for: parcel, at: site, families: families) {
                let ofFamily = tier.filter { $0.address.isIPv4 == table.sources[source].address.isIPv4 }
                guard let target = ofFamily.randomElement(using: &random) else { continue }
                return .path(source: source, target: target)
            }
        }
        if parcel != nil { return .tooPicky }
        let soonest = soonestFree(at: site)
        return .notNow(
            until: soonest ?? now + wait(round: site.failures),
            why: soonest == nil
                ? "no source has an address of a family that \(site.name) has" : "no source is free for \(site.name)",
            kind: .sources)
    }

    /// Hosts that may be connected to now, best preference first, equals together.
    private func reachable(_ site: Site, passing passed: Set<IPAddress>) -> [[Draw.Target]] {
        var tiers: [[Draw.Target]] = []
        var preference: UInt16?
        for host in site.hosts {
            let targets = host.addresses.filter { address in
                !rests(address, at: site) && !site.forbidden.contains(address) && !passed.contains(address)
            }
            guard !targets.isEmpty else { continue }
            if preference != host.preference { tiers.append([]) }
            preference = host.preference
            for address in targets {
                let failed = (memory(of: address, at: site)?.withoutTLS ?? now) > now
                let clear = site.key.tls == .opportunistic && failed
                tiers[tiers.count - 1].append(
                    Draw.Target(host: host.name, address: address, tls: clear ? .none : site.key.tls))
            }
        }
        return tiers
    }

    private mutating func hostsRest(_ site: Site) -> Timestamp {
        restEnds(at: site) ?? now + wait(round: site.failures)
    }

    private mutating func drawSource(for parcel: Parcel?, at site: Site, families: Set<Bool>) -> Int? {
        if let parcel, let pinned = parcel.pinned {
            // One that was taken out of use, or rests for hours, is waited for by nobody.
            if let why = whyReleased(pinned, of: parcel, at: site) {
                release(parcel, from: pinned, at: site, why: why)
            } else if let number = table.number(of: pinned) {
                if case .rests = site.receiver.standing(of: table.sources[number], at: now) { return nil }
                return isUsable(number, families, []) ? number : nil
            }
        }
        let route = parcel?.route ?? "default"
        let step = parcel?.step ?? 0
        guard let pool = pool(for: parcel, at: site) else { return nil }
        let tried = Set((parcel?.tried ?? []).compactMap(table.number(of:)))
        if let parcel, parcel.prefersKnown {
            let known = known(in: pool, at: site, tried: parcel.tried)
            if let source = pick(from: known, at: site, families: families, excluding: tried) { return source }
        }
        if let source = pick(from: pool.members, at: site, families: families, excluding: tried) { return source }
        // Past the last step a message that was refused from every source may start over, though not with the last one.
        guard step >= table.steps(of: route).count, let last = parcel?.tried.last else { return nil }
        let latest = Set([table.number(of: last)].compactMap { $0 })
        return pick(from: pool.members, at: site, families: families, excluding: latest)
    }

    /// Uniform over the free ones: draws at random and looks again when the drawn one is not free, and only when that
    /// fails often (most are not free) makes the list of those that are.
    private mutating func pick(
        from members: [Int], at site: Site, families: Set<Bool>, excluding: Set<Int>
    ) -> Int? {
        guard excluding.isEmpty else {
            // A message that was refused once pays for no probe while there is another way.
            return pickFar(from: members, at: site, families: families, refused: excluding)
                ?? members.filter { isUsable($0, families, excluding) && isProbe(table.sources[$0], at: site.receiver) }
                .randomElement(using: &random)
        }
        guard !members.isEmpty else { return nil }
        for _ in 0..<8 {
            let candidate = members[Int.random(in: 0..<members.count, using: &random)]
            guard isUsable(candidate, families, []) else { continue }
            if case .rests = site.receiver.standing(of: table.sources[candidate], at: now) { continue }
            return candidate
        }
        return members.filter { number in
            guard isUsable(number, families, []) else { return false }
            if case .rests = site.receiver.standing(of: table.sources[number], at: now) { return false }
            return true
        }.randomElement(using: &random)
    }

    /// It may be used without further ado.
    func isFree(_ source: Int, at site: Site, _ families: Set<Bool>, _ excluding: Set<Int>) -> Bool {
        isUsable(source, families, excluding)
            && site.receiver.standing(of: table.sources[source], at: now) == .free
    }

    private func isUsable(_ source: Int, _ families: Set<Bool>, _ excluding: Set<Int>) -> Bool {
        families.contains(table.sources[source].address.isIPv4) && (unbound[source]?.until ?? now) <= now
            && !excluding.contains(source)
    }

    /// When the first source of the first pool may be used; nil when nothing but its family keeps one from it.
    private func soonestFree(at site: Site) -> Timestamp? {
        (table.firstPool?.members ?? []).lazy.compactMap { number -> Timestamp? in
            let bound = unbound[number]?.until ?? now
            guard case .rests(let until) = site.receiver.standing(of: table.sources[number], at: now) else {
                return bound > now ? bound : nil
            }
            return max(until, bound)
        }.min()
    }
}
