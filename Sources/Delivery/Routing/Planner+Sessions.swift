import DNS
import DequeModule
package import Mail
import Queue

/// Opening, using and closing sessions.
extension Planner {
    /// Gives waiting parcels to idle sessions and opens further ones, within the limits.
    ///
    /// - Parameter turn: it has waited in `crowdedOut`, and opens one session before all others that do.
    mutating func dispatch(_ site: Site, turn: Bool = false) {
        guard !closing else { return }
        if let block = site.blocked, block.until > now {
            return clear(site, until: block.until)
        }
        var passedOver: [OpenSession] = []
        while site.waiting > 0, let session = site.idle.popLast() {
            if !serve(session) { passedOver.append(session) }
        }
        site.idle.append(contentsOf: passedOver.reversed())
        var turn = turn
        while site.opening < site.waiting {
            guard turn || crowdedOut.isEmpty, hasPlace else { return crowdOut(site) }
            turn = false
            if site.sessions >= site.limit(configuration.sessionsPerSite, at: now) {
                // Idle sessions that suit nobody who waits give way, the oldest first.
                guard let oldest = site.idle.first else { return }
                close(oldest)
            }
            guard open(site) else { return }
        }
    }

    /// One more session may be opened: there is room, or a session that does nothing gives way, the oldest first.
    private var hasPlace: Bool { sessions.count < configuration.sessions || idle.oldest != nil }

    private mutating func crowdOut(_ site: Site) {
        guard !site.isCrowdedOut else { return }
        site.isCrowdedOut = true
        crowdedOut.append(site)
    }

    /// Each site that waits for a session opens one in its turn, so that one with much mail does not take all.
    mutating func admitCrowded() {
        var turns = crowdedOut.count
        while turns > 0, hasPlace, let site = crowdedOut.popFirst() {
            turns -= 1
            site.isCrowdedOut = false
            dispatch(site, turn: true)
        }
    }

    /// Hands the session its next parcel; false when none that waits may use it.
    mutating func serve(_ session: OpenSession) -> Bool {
        while let parcel = take(for: session) {
            guard parcel.message.expires > now + Self.lastMinute else {
                // Its deadline is here: the queue's own watch ends it, so it must not be sent any more.
                giveBack([parcel], at: session.site)
                continue
            }
            start(parcel, on: session)
            return true
        }
        return false
    }

    /// Nothing is put on the wire this close to its deadline, so that a clock that steps a little cannot let a message
    /// end twice.
    private static let lastMinute = Timestamp.Span.seconds(5)

    private mutating func take(for session: OpenSession) -> Parcel? {
        let site = session.site
        // A few at the front are looked at, so that many who wait for other sources cost nothing here.
        for index in site.picky.indices.prefix(64) where suits(session, site.picky[index]) {
            return site.picky.remove(at: index)
        }
        guard table.firstPool?.isMember[session.source] == true else { return nil }
        return site.plain.popFirst()
    }

    private func suits(_ session: OpenSession, _ parcel: Parcel) -> Bool {
        if session.purpose === parcel { return true }
        let name = session.plan.source.name
        if let pinned = parcel.pinned, table.number(of: pinned) != nil { return pinned == name }
        guard table.pool(of: parcel.route, step: parcel.step)?.isMember[session.source] == true else { return false }
        return !parcel.tried.contains(name)
    }

    private mutating func start(_ parcel: Parcel, on session: OpenSession) {
        var recipients: [Address] = []
        if parcel.pieces.count == 1, parcel.pieces[0].next.count <= configuration.recipientsPerTransaction {
            recipients = parcel.pieces[0].next
            parcel.pieces[0].wired = recipients.count
        } else {
            for index in parcel.pieces.indices {
                let room = configuration.recipientsPerTransaction - recipients.count
                let taken = parcel.pieces[index].next.prefix(max(0, room))
                parcel.pieces[index].wired = taken.count
                recipients.append(contentsOf: taken)
            }
        }
        session.parcel = parcel
        session.purpose = nil
        if session.idleSince != nil { idle.remove(session) }
        session.idleSince = nil
        parcel.sought = false
        actions.append(.send(session.id, Transaction(message: parcel.message, recipients: recipients)))
    }

    // MARK: Events about sessions

    package mutating func opened(_ id: SessionID, facts: SessionFacts, at now: Timestamp) {
        self.now = now
        guard let session = sessions[id] else { return }
        session.opened = now
        session.tls = facts.tls
        session.site.opening -= 1
        session.purpose?.sought = false
        session.site.failures = 0
        session.site.resting[session.plan.address] = nil
        rest(session)
    }

    /// The session has nothing on the wire: it takes the next parcel, waits for one, or ends.
    mutating func rest(_ session: OpenSession) {
        let site = session.site
        let age = now - (session.opened ?? now)
        session.parcel = nil
        if closing || session.sent >= session.limit || age >= configuration.sessionLifetime {
            close(session)
        } else if !serve(session) {
            session.purpose = nil
            session.idleSince = now
            site.idle.append(session)
            idle.append(session)
        }
        refill(site)
        if site.waiting > 0 { dispatch(site) }
    }

    /// Says QUIT; the session counts as gone at once, what the peer answers no longer matters.
    mutating func close(_ session: OpenSession) {
        actions.append(.close(session.id))
        forget(session)
    }

    package mutating func closed(_ id: SessionID, at now: Timestamp) {
        self.now = now
        // What was sent while the session was going away still gets its end, with trouble in it.
        guard let session = sessions[id], session.parcel == nil else { return }
        forget(session)
        if session.site.waiting > 0 { dispatch(session.site) }
    }

    mutating func forget(_ session: OpenSession) {
        guard sessions.removeValue(forKey: session.id) != nil else { return }
        session.site.sessions -= 1
        if session.opened == nil { session.site.opening -= 1 }
        if session.idleSince != nil {
            session.site.idle.removeAll { $0 === session }
            idle.remove(session)
        }
        session.purpose?.sought = false
    }

    // MARK: Opening

    /// Opens one session for what waits; false when that cannot be done now.
    private mutating func open(_ site: Site) -> Bool {
        let purpose = site.picky.first { !$0.sought }
        if purpose == nil, site.plain.count <= site.opening - site.picky.count { return false }
        switch draw(for: purpose, at: site) {
        case .path(let source, let target):
            let plan = SessionPlan(
                id: nextSession(), source: table.sources[source], host: target.host, address: target.address,
                port: site.key.port, tls: target.tls)
            let pool = table.pool(of: purpose?.route ?? "default", step: purpose?.step ?? 0)
            if sessions.count >= configuration.sessions, let oldest = idle.oldest { close(oldest) }
            let session = OpenSession(
                plan: plan, site: site, source: source, limit: pool?.messagesPerSession ?? 1, purpose: purpose)
            purpose?.sought = true
            sessions[plan.id] = session
            site.sessions += 1
            site.opening += 1
            actions.append(.open(plan))
            return true
        case .never(let why):
            let parcels = drain(site)
            for parcel in parcels { end(parcel, at: site, cause: .domain, why: why) }
            return false
        case .notNow(let until, let why):
            block(site, until: until, why: why)
            return false
        case .tooPicky:
            // Its sources rest, or it has tried them all: back to the schedule, the others go on.
            if let purpose, let index = site.picky.firstIndex(where: { $0 === purpose }) {
                site.picky.remove(at: index)
                postpone(purpose, at: site, why: "no other source is free for \(site.name)")
            }
            return site.waiting > 0
        }
    }

    /// All that waits there in memory, taken out.
    mutating func drain(_ site: Site) -> [Parcel] {
        let all = Array(site.picky) + site.plain.removeAll()
        site.picky = []
        return all
    }

    /// Nothing can be sent to the site for a while: the messages that wait go back to the store, untouched and due as
    /// they were, and their domains are not named as due before that. A dead destination costs a row nothing.
    mutating func block(_ site: Site, until: Timestamp, why: String) {
        site.blocked = Site.Block(until: until, why: why)
        clear(site, until: until)
    }

    /// Gives back what waits for a blocked site.
    mutating func clear(_ site: Site, until: Timestamp) {
        let parcels = drain(site)
        var names: Set<String> = Set(site.domainsWithMore)
        site.domainsWithMore = []
        for parcel in parcels {
            for piece in parcel.pieces { names.insert(piece.work.domain) }
        }
        giveBack(parcels, at: site)
        for name in names.sorted() { actions.append(.postpone(domain: name, until: until)) }
    }
}
