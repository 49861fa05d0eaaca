import DNS
package import Mail
import Queue

/// What operators want while the relay runs.
extension Planner {
    /// When a domain that an operator keeps back is looked at again, whatever was forgotten of it meanwhile: soon, but
    /// of many no more than some 170 a second.
    private var nextLook: Timestamp {
        now + max(.seconds(15), Timestamp.Span(milliseconds: Int64(keptBack.count) * 6))
    }
    /// Names of domains that are woken at once; others when they are looked at.
    static let keptBackLimit = 50_000

    /// Takes the operators' orders as they are now, in place of all before.
    package mutating func steer(_ given: StandingOrders, at now: Timestamp) {
        self.now = now
        let old = orders
        orders = given.inForce(at: now)
        for name in orders.customers.keys { unkept[name] = nil }
        orders.customers.merge(unkept) { given, _ in given }
        ordersEnd = orders.nextEnd
        if old.holds != orders.holds { hold() }
        if old.suspensions != orders.suspensions { suspend(before: old.suspensions) }
        if old.customers != orders.customers { heedCustomers(before: old.customers) }
    }

    // MARK: Sources

    /// Applies the orders about sources to the table and to sessions.
    mutating func hold() {
        let before = held
        var held: [Int: StandingOrders.Hold] = [:]
        if !orders.holds.isEmpty {
            for number in table.current { held[number] = orders.holds[table.sources[number].address] }
        }
        self.held = held
        table.restrict { held[$0] == nil }
        var touched: [ObjectIdentifier: Site] = [:]
        for session in Array(sessions.values) {
            if let kind = held[session.source]?.kind {
                retire(session, opening: kind == .disabled)
            } else if table.isCurrent(session.source) {
                session.isRetired = false
            } else {
                retire(session, opening: false)
            }
            if sessions[session.id] == nil { touched[ObjectIdentifier(session.site)] = session.site }
        }
        if before.keys.contains(where: { held[$0] == nil }) { wake { $0 == .sources } }
        for site in touched.values where site.waiting > 0 { dispatch(site) }
    }

    /// - Parameter opening: one that is being opened is given up as well.
    private mutating func retire(_ session: OpenSession, opening: Bool) {
        session.isRetired = true
        if session.idleSince != nil || (opening && session.opened == nil) { close(session) }
    }

    /// Set where no source of the pool may be used because operators said so.
    func operatorsHold(route: String, step: Int) -> Draw? {
        guard !held.isEmpty, let pool = table.pool(of: route, step: step), pool.members.isEmpty,
            let first = pool.all.first, let hold = held[first]
        else { return nil }
        return .off(until: offEnds, why: "every source of pool \(pool.name) is out of use: \(hold.said)")
    }

    /// Operators took every source out of use.
    var isOff: Bool { !held.isEmpty && table.isOff }

    /// For a message of which nothing is known but that no source of any pool may be used.
    func offBlock() -> Site.Block? {
        guard case .off(let until, let why)? = operatorsHold(route: "default", step: 0) else { return nil }
        return Site.Block(until: until, why: why, kind: .sources, isOperators: true)
    }

    private var offEnds: Timestamp { min(ordersEnd ?? .distantFuture, nextLook) }

    /// Back to the store until then, without a round of its own: nothing was tried.
    mutating func setAside(_ parcel: Parcel, at site: Site, until: Timestamp, why: String) {
        _ = take(parcel, from: site)
        traceUnattempted(parcel, site: site.name, .trouble(.local, why), phase: .connect, next: until)
        for piece in parcel.pieces {
            var work = piece.work
            work.progress.due = until
            settlements.append(Settlement(key: work.key, ended: [], remaining: work))
            letGo(of: piece.work, at: site)
        }
    }

    /// Tells the first of those that wait why nothing is tried.
    mutating func tell(_ site: Site, _ why: String, until: Timestamp) {
        let waiting = site.plain.some(Self.tracedAtOnce) + site.picky.some(Self.tracedAtOnce)
        for parcel in waiting.prefix(Self.tracedAtOnce) {
            traceUnattempted(parcel, site: site.name, .trouble(.local, why), phase: .connect, next: until)
        }
    }

    // MARK: Sites

    /// The order about a receiver, under whichever of its names, and that name.
    func suspension(of site: Site) -> (name: String, order: StandingOrders.Order)? {
        guard !orders.suspensions.isEmpty else { return nil }
        let names = [site.allowance?.rule.name, site.key.domain].compactMap(\.self) + site.hosts.map(\.name)
        return names.lazy.compactMap { name in orders.suspensions[name].map { (name, $0) } }.first
    }

    func isSuspended(_ domain: String) -> Bool {
        !orders.suspensions.isEmpty && orders.suspensions[domain] != nil
    }

    /// Marks the site as the orders say.
    mutating func heed(_ site: Site) {
        if let (name, order) = suspension(of: site) {
            site.blocked = order.block(of: name)
        } else if site.blocked?.kind == .suspended {
            site.blocked = nil
        }
    }

    private mutating func suspend(before: [String: StandingOrders.Order]) {
        for site in Array(sites.values) {
            let was = site.blocked?.kind == .suspended
            heed(site)
            guard let block = site.blocked, block.kind == .suspended else { continue }
            if !was {
                tell(site, block.why, until: block.until)
                for session in sessions.values.filter({ $0.site === site }) { retire(session, opening: true) }
            }
            clear(site, until: block.until)
        }
        for (domain, order) in orders.suspensions { withdraw(domain, order.block(of: domain)) }
        for session in sessions.values
        where session.site.blocked?.kind != .suspended && held[session.source] == nil
            && table.isCurrent(session.source)
        {
            session.isRetired = false
        }
        if before.keys.contains(where: { orders.suspensions[$0] == nil }) { wake { _ in false } }
    }

    /// Gives back what waits in memory for a recipient domain that is suspended.
    private mutating func withdraw(_ domain: String, _ block: Site.Block) {
        guard let state = domains[domain] else { return }
        var given = state.waiting
        domains[domain]?.waiting = []
        giveBack(given, at: nil)
        if let site = state.site, site.waiting > 0 {
            let all = drain(site)
            given = all.filter { $0.pieces.contains { $0.work.domain == domain } }
            for parcel in given {
                traceUnattempted(
                    parcel, site: site.name, .trouble(.local, block.why), phase: .connect, next: block.until)
            }
            for parcel in all where !given.contains(where: { $0 === parcel }) { enqueue(parcel, at: site) }
            giveBack(given, at: site)
        }
        keepBack(domain, for: block, until: block.until)
    }

    /// What would go on at once goes back to the store where an operator wants nothing sent.
    mutating func keepBack(_ pieces: [Parcel.Piece], at site: Site) -> [Parcel.Piece] {
        guard !orders.suspensions.isEmpty || !orders.customers.isEmpty else { return pieces }
        let isSiteSuspended = site.blocked?.kind == .suspended
        return pieces.filter { piece in
            let isHeld = order(about: piece.work.message.customer) != nil
            guard isSiteSuspended || isSuspended(piece.work.domain) || isHeld else { return true }
            letGo(of: piece.work, at: site)
            giveBack(piece.work, noted: true)
            return false
        }
    }

    // MARK: Waking

    /// The domain is not to be named before then, or, where an operator may change it, before it is looked at again.
    mutating func keepBack(_ domain: String, for block: Site.Block?, until: Timestamp) {
        guard let block, block.isOperators else {
            actions.append(.postpone(domain: domain, until: until))
            return
        }
        if keptBack.count < Self.keptBackLimit, keptBack.insert(domain).inserted { noteChange(.keptBack(domain)) }
        actions.append(.postpone(domain: domain, until: min(until, nextLook)))
    }

    /// It is looked at, or nothing keeps it back any more.
    mutating func endKeepingBack(_ domain: String) {
        if keptBack.remove(domain) != nil { noteChange(.keptBack(domain)) }
    }

    /// Sites that were blocked for such a reason are looked at again now, with all that was kept back and need not be.
    mutating func wake(where isMeant: (Site) -> Bool = { _ in true }, _ isOver: (Site.Block.Kind) -> Bool) {
        var woken: Set<ObjectIdentifier> = []
        for site in sites.values where isMeant(site) {
            guard let block = site.blocked, isOver(block.kind) else { continue }
            site.blocked = nil
            woken.insert(ObjectIdentifier(site))
        }
        var names = Set(keptBack.filter { block(of: $0) == nil })
        for name in names { endKeepingBack(name) }
        if !woken.isEmpty {
            for (name, state) in domains where state.site.map({ woken.contains(ObjectIdentifier($0)) }) ?? false {
                names.insert(name)
            }
        }
        for name in names.sorted() { actions.append(.postpone(domain: name, until: now)) }
    }
}

extension StandingOrders.Hold {
    /// In a trace: `draining, by uid 0: listed, ticket 4711`.
    var said: String { "\(kind.rawValue), by \(order.by): \(order.reason)" }
}

extension StandingOrders.Order {
    func block(of name: String) -> Site.Block {
        Site.Block(
            until: until ?? .distantFuture, why: "\(name) is suspended by \(by): \(reason)", kind: .suspended,
            isOperators: true)
    }
}
