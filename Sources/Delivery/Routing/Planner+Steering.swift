import DNS
package import Mail
package import Queue

/// What operators want of mail that is in memory.
extension Planner {
    /// These are not to be sent: what is not on the wire goes back to the queue, what is goes back after its attempt.
    ///
    /// - Returns: those on the wire.
    package mutating func recall(_ keys: Set<WorkKey>, at now: Timestamp) -> [WorkKey] {
        self.now = now
        for site in sites.values where site.works > 0 { recall(keys, from: site) }
        for (name, state) in domains where !state.waiting.isEmpty {
            for parcel in state.waiting { takeOut(keys, of: parcel, at: nil) }
            domains[name]?.waiting.removeAll(where: \.pieces.isEmpty)
        }
        var wired: [WorkKey] = []
        for session in sessions.values {
            guard let parcel = session.parcel else { continue }
            for index in parcel.pieces.indices where keys.contains(parcel.pieces[index].work.key) {
                parcel.pieces[index].isRecalled = true
                wired.append(parcel.pieces[index].work.key)
            }
        }
        return wired
    }

    private mutating func recall(_ keys: Set<WorkKey>, from site: Site) {
        for parcel in site.plain.some(.max) + site.picky.some(.max) { takeOut(keys, of: parcel, at: site) }
        site.plain.removeAll(where: \.pieces.isEmpty)
        site.picky.removeAll(where: \.pieces.isEmpty)
        if site.waiting == 0 { site.claimant = nil }
    }

    private mutating func takeOut(_ keys: Set<WorkKey>, of parcel: Parcel, at site: Site?) {
        guard parcel.pieces.contains(where: { keys.contains($0.work.key) }) else { return }
        for piece in parcel.pieces where keys.contains(piece.work.key) {
            letGo(of: piece.work, at: site)
            giveBack(piece.work, noted: piece.noted)
        }
        parcel.pieces.removeAll { keys.contains($0.work.key) }
    }

    /// What was found out about hosts of these domains that do not answer is forgotten: they are tried once more, as
    /// few messages at a time as of any site that has yet to show that it takes mail.
    package mutating func lift(_ names: [String], at now: Timestamp) {
        self.now = now
        // What waits for a relay is among them by its recipients' domains.
        for name in names + table.relays.keys.map(Self.place(ofRelay:)) {
            domains[name]?.blocked = nil
            if let site = domains[name]?.site {
                lift(site)
            } else if domains[name] != nil || domains.count < forgetAbove {
                // What is kept of its hosts over a restart is known when its site is.
                domains[name, default: DomainState()].lifted = now + Self.liftedFor
            }
        }
    }

    /// Until the site of a domain must be known for what was said of it to count.
    private static let liftedFor = Timestamp.Span.minutes(15)

    private mutating func lift(_ site: Site) {
        site.blocked = nil
        heed(site)
        for address in site.hosts.flatMap(\.addresses) where rests(address, at: site) {
            remember(address, at: site) { $0.rests = nil }
        }
    }

    /// The site of a domain is known: what was lifted before is lifted now.
    mutating func liftLate(_ state: inout DomainState, at site: Site) {
        guard let until = state.lifted else { return }
        state.lifted = nil
        if until > now { lift(site) }
    }

    /// Where a domain's mail goes, as far as it is known.
    package func note(of domain: String, at now: Timestamp) -> SiteNote? {
        var planner = self
        planner.now = now
        let block = planner.block(of: domain)
        let site = domains[domain]?.site
        guard site != nil || block != nil else { return nil }
        // What an operator takes back has no time of its own.
        let until = block.flatMap { $0.until == .distantFuture ? nil : $0.until }
        return SiteNote(name: site?.name ?? domain, until: until, why: block?.why)
    }
}
