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
        guard site.waiting == 0 || mayStart(at: site) else { return }
        var passedOver: [OpenSession] = []
        while site.waiting > 0, let session = site.idle.popLast() {
            if !serve(session) { passedOver.append(session) }
        }
        site.idle.append(contentsOf: passedOver.reversed())
        var turn = turn
        // No more than may begin now: a session that must wait for its rate is in another's way.
        while site.opening < min(site.waiting, site.allowance?.ready(at: now) ?? .max) {
            let trial = site.trial
            if let trial {
                // What comes of these decides about the others.
                guard site.opening < trial.perSite else { return }
                guard trials.hasRoom(trial, of: configuration.sessions) else {
                    return trials.lineUp(site, trial, of: site.claimant ?? site.customerInFront)
                }
            }
            guard turn || crowdedOut.isEmpty, hasPlace else { return crowdOut(site) }
            turn = false
            if site.sessions >= site.limit(configuration.sessionsPerSite, at: now) {
                // Idle sessions that suit nobody who waits give way, the oldest first.
                guard let oldest = site.idle.first else { return }
                close(oldest)
            }
            // What other sites of the rule have open, this one waits for.
            if site.allowance?.isFull == true || site.receiver.isFull { return lookAgain(at: site) }
            guard open(site, trial: trial) else { return }
        }
        if site.waiting == 0 { site.claimant = nil }
        if site.allowance != nil || site.receiver.pace != nil, site.opening < site.waiting { lookAgain(at: site) }
    }

    /// What must wait longer than this for its rate waits in the store, not in memory.
    private static let patience = Timestamp.Span.seconds(5)

    /// Whether the rate lets a message begin; where it does not, the site is looked at again in time.
    private mutating func mayStart(at site: Site) -> Bool {
        if let pace = site.receiver.pace, !pace.isReady(at: now) {
            let opens = pace.opens(after: now)
            if opens - now > Self.patience {
                block(site, until: opens, why: "\(site.receiver.name) was sent too much: \(pace.reply)", kind: .rate)
            } else {
                lookAgain(at: site)
            }
            return false
        }
        guard let allowance = site.allowance, allowance.ready(at: now) == 0 else { return true }
        let opens = allowance.opens(after: now)
        if opens - now > Self.patience {
            block(site, until: opens, why: "the rate of \(allowance.rule.name) is used up", kind: .rate)
        } else {
            lookAgain(at: site)
        }
        return false
    }

    /// At the next tick.
    private mutating func lookAgain(at site: Site) {
        guard !site.isPaced else { return }
        site.isPaced = true
        paced.append(site)
    }

    mutating func goOnWithPaced() {
        let sites = paced
        paced = []
        for site in sites {
            site.isPaced = false
            dispatch(site)
        }
    }

    /// Opens sessions to sites in line for one, as far as there is room.
    mutating func openTrials() {
        while !closing, let site = trials.next(of: configuration.sessions) { dispatch(site) }
    }

    private mutating func endTrial(of session: OpenSession) {
        guard let trial = session.trial else { return }
        session.trial = nil
        trials.end(trial)
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

    private func count(_ session: OpenSession, _ change: Int) {
        session.receiver.sessions += change
        guard !session.receiver.paths.isEmpty else { return }
        session.receiver.paths[session.plan.source.address]?.sessions += change
    }

    /// Hands the session its next parcel; false when none that waits may use it.
    mutating func serve(_ session: OpenSession) -> Bool {
        while session.site.allowance.map({ $0.ready(at: now) > 0 }) ?? true, mayBegin(on: session),
            let parcel = take(for: session)
        {
            guard parcel.pieces.allSatisfy({ $0.work.deadline > now + Self.lastMinute }) else {
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
        let suitsPlain =
            !site.plain.isEmpty && (site.isRelay || table.firstPool?.isMember[session.source] == true)
        // In turn, so that a flood on a route of its own keeps nobody else.
        if suitsPlain, site.servedPicky, session.purpose == nil {
            site.servedPicky = false
            return site.plain.popFirst()
        }
        // A few at the front are looked at, so that many who wait for other sources cost nothing here.
        if let parcel = site.picky.popFirst(of: 64, where: { suits(session, $0) }) {
            site.servedPicky = true
            return parcel
        }
        return suitsPlain ? site.plain.popFirst() : nil
    }

    private func suits(_ session: OpenSession, _ parcel: Parcel) -> Bool {
        if session.purpose === parcel { return true }
        if parcel.passed.contains(session.plan.address) { return false }
        if session.site.isRelay { return true }
        let name = session.plan.source.name
        if let pinned = parcel.pinned, let number = table.number(of: pinned), held[number] == nil {
            return pinned == name
        }
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
        session.site.allowance?.spend(at: now)
        spend(on: session)
        session.parcel = parcel
        session.purpose = nil
        if session.idleSince != nil { idle.remove(session) }
        session.idleSince = nil
        parcel.sought = false
        let transaction = Transaction(
            message: parcel.message, recipients: recipients, eightBitAsIs: goesAsIs(parcel, on: session))
        actions.append(.send(session.id, transaction))
    }

    // MARK: Events about sessions

    package mutating func opened(_ id: SessionID, facts: SessionFacts, at now: Timestamp) {
        self.now = now
        guard let session = sessions[id] else { return }
        endTrial(of: session)
        found(session.site, takesMail: true)
        session.opened = now
        session.tls = facts.tls
        session.offers = facts.offers
        session.notices = facts.notices
        session.site.opening -= 1
        session.purpose?.sought = false
        session.site.failures = 0
        remember(session.plan.address, at: session.site) { host in
            host.rests = nil
            host.failures = 0
            host.offers = (facts.offers, until: now + HostMemory.freshness)
        }
        rest(session)
        openTrials()
    }

    /// The session has nothing on the wire: it takes the next parcel, waits for one, or ends.
    mutating func rest(_ session: OpenSession) {
        let site = session.site
        let age = now - (session.opened ?? now)
        session.parcel = nil
        if closing || session.sent >= session.limit || (session.isRetired && session.sent > 0)
            || age >= configuration.sessionLifetime || session.receiver.hasTooMany
        {
            close(session)
        } else if !serve(session) {
            session.purpose = nil
            if session.isRetired {
                close(session)
            } else {
                session.idleSince = now
                site.idle.append(session)
                idle.append(session)
            }
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
        openTrials()
    }

    mutating func forget(_ session: OpenSession) {
        guard sessions.removeValue(forKey: session.id) != nil else { return }
        endTrial(of: session)
        endProbe(session)
        session.site.sessions -= 1
        session.allowance?.sessions -= 1
        count(session, -1)
        tallies[session.source].sessions -= 1
        if session.opened == nil { session.site.opening -= 1 }
        if session.idleSince != nil {
            session.site.idle.removeAll { $0 === session }
            idle.remove(session)
        }
        session.purpose?.sought = false
    }

    // MARK: Opening

    /// Opens one session for what waits; false when that cannot be done now.
    private mutating func open(_ site: Site, trial: Trials.Kind?) -> Bool {
        var purpose = site.picky.first { !$0.sought }
        if purpose == nil, site.plain.count <= site.opening - site.picky.count { return false }
        let drawn = drawInTurn(for: &purpose, at: site)
        switch drawn {
        case .path(let source, let target):
            site.openedForPicky = purpose != nil
            begin(from: source, to: target, for: purpose, trial: trial, at: site)
            return true
        case .never(let why):
            if site.isRelay {
                log(
                    .error, "the relay's host may not be connected to", nil,
                    ["relay": site.key.relay ?? "", "why": why])
                block(site, until: now + .minutes(15), why: why)
                return false
            }
            let parcels = drain(site)
            for parcel in parcels { end(parcel, at: site, cause: .domain, why: why) }
            return false
        case .notNow(_, _, .sources) where site.probes > 0:
            // What comes of its probe decides.
            return false
        case .notNow(let until, _, .sources) where until - now <= Self.patience:
            lookAgain(at: site)
            return false
        case .notNow(let until, let why, let kind):
            if kind == .sources, advanceAll(at: site) { return site.waiting > 0 }
            block(site, until: kind == .sources ? turn(of: site, notBefore: until) : until, why: why, kind: kind)
            return false
        case .off(let until, let why):
            // Others may have a pool that can be used.
            if let purpose, table.firstPool?.members.isEmpty == false {
                setAside(purpose, at: site, until: until, why: why)
                return site.waiting > 0
            }
            tell(site, why, until: until)
            block(site, until: until, why: why, kind: .sources, operators: true)
            return false
        case .tooPicky:
            // Its sources rest, or it has tried them all: back to the schedule, the others go on.
            if let purpose, take(purpose, from: site) {
                purpose.sought = false
                if purpose.passed.isEmpty, advance(purpose, at: site) { return site.waiting > 0 }
                let why = purpose.passed.isEmpty ? "no other source is free for" : "no other host answers at"
                postpone(purpose, at: site, why: "\(why) \(site.name)")
            }
            return site.waiting > 0
        }
    }

    /// What waits for any session has one opened in its turn, where that can be done now.
    private mutating func drawInTurn(for purpose: inout Parcel?, at site: Site) -> Draw {
        if purpose != nil, site.openedForPicky, !site.plain.isEmpty {
            let drawn = draw(for: nil, at: site)
            if case .path = drawn {
                purpose = nil
                return drawn
            }
        }
        return draw(for: purpose, at: site)
    }

    /// - Returns: whether it waited there.
    func take(_ parcel: Parcel, from site: Site) -> Bool {
        site.picky.remove(of: parcel.message.customer) { $0 === parcel } != nil
    }

    private mutating func begin(
        from source: Int, to target: Draw.Target, for purpose: Parcel?, trial: Trials.Kind?, at site: Site
    ) {
        let plan = SessionPlan(
            id: nextSession(), source: table.sources[source], host: target.host, address: target.address,
            port: site.key.port, tls: target.tls, login: site.key.relay.flatMap { table.relays[$0]?.login })
        let pool = pool(for: purpose, at: site)
        if sessions.count >= configuration.sessions, let oldest = idle.oldest { close(oldest) }
        let isProbe = isProbe(plan.source, at: site.receiver)
        let most = min(pool?.messagesPerSession ?? 1, site.allowance?.rule.limits.messagesPerSession ?? .max)
        let session = OpenSession(
            plan: plan, site: site, source: source, limit: isProbe ? 1 : most, purpose: purpose)
        if isProbe { beginProbe(session) }
        purpose?.sought = true
        session.trial = trial
        if let trial { trials.begin(trial) }
        sessions[plan.id] = session
        site.sessions += 1
        site.allowance?.sessions += 1
        count(session, 1)
        tallies[source].sessions += 1
        site.opening += 1
        actions.append(.open(plan))
    }

    /// What a session for the parcel is opened from.
    func pool(for parcel: Parcel?, at site: Site) -> SourceTable.Pool? {
        if let relay = site.key.relay { return table.pool(ofRelay: relay) }
        return table.pool(of: parcel?.route ?? "default", step: parcel?.step ?? 0)
    }

    /// All that waits there in memory, taken out.
    mutating func drain(_ site: Site) -> [Parcel] {
        let all = site.picky.removeAll() + site.plain.removeAll()
        site.claimant = nil
        return all
    }

    /// Nothing can be sent to the site for a while: the messages that wait go back to the store, untouched and due as
    /// they were, and their domains are not named as due before that. A dead destination costs a row nothing.
    mutating func block(
        _ site: Site, until: Timestamp, why: String, kind: Site.Block.Kind = .receiver,
        operators: Bool = false
    ) {
        site.blocked = Site.Block(until: until, why: why, kind: kind, isOperators: operators)
        clear(site, until: until)
    }

    /// Gives back what waits for a blocked site.
    mutating func clear(_ site: Site, until: Timestamp) {
        if site.isRelay { return clearRelay(site, until: until, why: site.blocked?.why ?? "the relay rests") }
        let parcels = drain(site)
        // Domains of which nothing is in memory are postponed when they are named.
        site.domainsWithMore.removeAll()
        var names: Set<String> = []
        for parcel in parcels {
            for piece in parcel.pieces { names.insert(piece.work.domain) }
        }
        giveBack(parcels, at: site)
        for name in names.sorted() { keepBack(name, for: site.blocked, until: until) }
    }
}
