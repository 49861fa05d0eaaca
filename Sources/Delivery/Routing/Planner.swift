import DNS
import DequeModule
package import Mail
import NIOCore
package import Queue

/// The one place where it is decided what happens to a message next. It does no I/O and knows no clock.
///
/// Events go in (each a method), actions come out (``takeActions()``); the time of the event and the seed of all chance
/// are handed in, so that a test reads as a transcript and a simulation can be run again. How a work goes through it:
///
/// 1. It arrives, fresh or read back, and waits at its domain until the hosts are known.
/// 2. Domains with the same hosts share a site; there it waits its turn, fair over customers.
/// 3. A session for the site is opened from a source drawn at random among those free for it, or an idle one is reused.
/// 4. What the receiver answers is read for its cause, and the cause decides: ended, another source now, or later.
/// 5. Whatever is not ended goes back to the queue with its next due time. Nothing is kept without a next event.
package struct Planner {
    var configuration: PlannerConfiguration
    /// May be replaced while it runs: what is read next is read by the new ones.
    var rules: ReplyRules
    var table: SourceTable
    /// What operators said, and the sources that they took out of use, by number.
    var orders = StandingOrders()
    var held: [Int: StandingOrders.Hold] = [:]
    /// When the first of it is over.
    var ordersEnd: Timestamp?
    /// Domains that were postponed because of it, a bounded number: named again at once when it is taken back.
    var keptBack: Set<String> = []
    /// What receivers made of each customer's mail.
    var customers: [String: CustomerRecord] = [:]
    /// Holds of our own that those who keep the orders have not named yet.
    var unkept: [String: StandingOrders.Order] = [:]
    /// When the queue was last asked to hold what came of a held one.
    var askedToHold: [String: Timestamp] = [:]
    /// By number of the source.
    var tallies: [SourceTally]
    var random: PlannerRandom
    var now = Timestamp(milliseconds: 0)
    var sites: [SiteKey: Site] = [:]
    var domains: [String: DomainState] = [:]
    var hosts: [HostPlace: HostMemory] = [:]
    /// By name.
    var receivers: [String: Receiver] = [:]
    var pins = PinLine()
    /// What is remembered differently since the last call of ``takeActions()``.
    var changes: Set<ChangeKey> = []
    var changedHosts: Set<HostPlace> = []
    /// Lines for the log since the last call of ``takeActions()``.
    var logged = 0
    var nextSweep = Timestamp(milliseconds: 0)
    /// By the name of their rule.
    var allowances: [String: Allowance] = [:]
    var sessions: [SessionID: OpenSession] = [:]
    /// Sources that could not be bound, and until when they are left alone.
    var unbound: [Int: Unbound] = [:]
    /// When the first mail of a domain that waits for a relay is due, as far as it is remembered.
    var relayDue: [String: Timestamp] = [:]
    /// Idle ones of all sites.
    var idle = IdleSessions()
    /// Sites with mail waiting that found no session free in all; each opens one when its turn comes.
    var crowdedOut: Deque<Site> = []
    /// Sites with mail waiting that were faster than their rate, or share a receiver that has its sessions.
    var paced: [Site] = []
    var trials = Trials()
    /// Receivers whose ``Receiver/takers`` changed since they were kept.
    var takersToKeep: Deque<Receiver> = []
    /// When that many domains are known, the quiet ones are forgotten.
    var forgetAbove = 10_000
    var forgetHostsAbove = 10_000
    var works = 0
    var octets = 0
    /// Works in memory whose site is not known, or has yet to show that it takes mail.
    var unproven = 0
    /// Works that were asked for and have not come.
    var promised = 0
    /// Domains that are resolved for mail that was read back, and those of them that failed before.
    var askedForOld = 0
    var askedForFailing = 0
    var closing = false
    var actions: [PlannerAction] = []
    var settlements: [Settlement] = []
    private var lastSession: UInt64 = 0
    private var lastAttempt: UInt64 = 0

    package init(configuration: PlannerConfiguration, map: IPMap, rules: ReplyRules, seed: UInt64) {
        self.configuration = configuration
        self.table = SourceTable(map)
        self.tallies = Array(repeating: SourceTally(), count: table.sources.count)
        self.rules = rules
        self.random = PlannerRandom(seed: seed)
    }

    /// Where a domain's mail goes, as far as it is known.
    struct DomainState {
        var site: Site?
        var checked = Timestamp(milliseconds: 0)
        var resolving = false
        var waiting: [Parcel] = []
        var blocked: Site.Block?
        var failures = 0
        /// Works that were asked for; 0 when no answer is awaited.
        var promised = 0
        /// The store has more than was read before the site was known.
        var more = false
        /// It was postponed before, as far as the store remembers.
        var failing = false
        /// What it counts as in `askedForOld`.
        var asked: Trials.Kind?
        /// An operator wants it tried, whatever is known of its hosts; until then its site is to hear of it.
        var lifted: Timestamp?
    }

    /// What is to be done about all that happened since the last call, in order.
    package mutating func takeActions() -> [PlannerAction] {
        if !crowdedOut.isEmpty { admitCrowded() }
        if !settlements.isEmpty {
            actions.append(.settle(settlements))
            settlements = []
        }
        takeChanges()
        logged = 0
        defer { actions = [] }
        return actions
    }

    mutating func nextSession() -> SessionID {
        lastSession += 1
        return SessionID(value: lastSession)
    }

    mutating func nextAttempt() -> UInt64 {
        lastAttempt += 1
        return lastAttempt
    }

    /// Numbers attempts on from here, so that ids stay unique across restarts.
    package mutating func startAttempts(after id: UInt64) {
        lastAttempt = id
    }

    // MARK: Events about mail

    /// Mail was accepted. Returns what there is no room for; the queue keeps it and names its domain when it is due.
    package mutating func arrived(_ works: [Work], at now: Timestamp) -> [Work] {
        self.now = now
        return take(works, readBack: false)
    }

    mutating func take(_ works: [Work], readBack: Bool) -> [Work] {
        var turnedAway: [Work] = []
        var touched: [Site] = []
        var index = 0
        while index < works.count {
            var end = index + 1
            while end < works.count, works[end].message === works[index].message { end += 1 }
            place(works[index..<end], readBack: readBack, touched: &touched, turnedAway: &turnedAway)
            index = end
        }
        for site in touched { dispatch(site) }
        return turnedAway
    }

    /// Due mail was read back from the store.
    package mutating func fetched(domain: String, works: [Work], more: Bool, at now: Timestamp) {
        self.now = now
        promised -= domains[domain]?.promised ?? 0
        domains[domain]?.promised = 0
        for work in take(works, readBack: true) { giveBack(work) }
        if domains[domain]?.resolving != true { endAsking(domain) }
        guard more else { return }
        guard let site = domains[domain]?.site else {
            domains[domain]?.more = true
            return
        }
        site.domainsWithMore.append(domain)
        refill(site)
    }

    /// These domains have due mail in the store: each is fetched, or postponed until its site may be sent to.
    package mutating func due(domains names: [String], failing: Set<String> = [], at now: Timestamp) {
        self.now = now
        for name in names {
            note(name, failing: failing.contains(name))
            if let block = block(of: name), !isDueAtRelay(name, block) {
                let atRelay = relayDue[name] ?? .distantFuture
                keepBack(name, for: block, until: min(block.until, atRelay))
            } else if !closing {
                endKeepingBack(name)
                fetch(name)
            }
        }
    }

    /// The deadline of these has passed; returns those that are on the wire. The others are never sent: see ``start``.
    package func wired(among keys: [WorkKey]) -> [WorkKey] {
        var wired: Set<WorkKey> = []
        for session in sessions.values {
            guard let parcel = session.parcel else { continue }
            for piece in parcel.pieces { wired.insert(piece.work.key) }
        }
        return keys.filter(wired.contains)
    }

    /// Time passed: idle sessions end, and what rested is looked at again.
    package mutating func tick(at now: Timestamp) {
        self.now = now
        let oldest = now + Timestamp.Span(milliseconds: -configuration.sessionIdle.milliseconds)
        for session in sessions.values where session.parcel == nil {
            if let since = session.idleSince, since <= oldest { close(session) }
            refill(session.site)
        }
        if let ends = ordersEnd, ends <= now { steer(orders.inForce(at: now), at: now) }
        goOnWithPaced()
        openTrials()
        keepTakers()
        sweepPaths()
        forgetQuietPlaces()
        forgetQuietHosts()
    }

    /// No new work is begun; what is on the wire ends, idle sessions close.
    package mutating func close(at now: Timestamp) {
        self.now = now
        closing = true
        for session in sessions.values where session.idleSince != nil { close(session) }
    }

    package var isQuiet: Bool { sessions.isEmpty }

    package func knows(_ id: SessionID) -> Bool { sessions[id] != nil }

    // MARK: Places

    /// Puts works of one message where they wait, together where they go to the same site.
    private mutating func place(
        _ works: ArraySlice<Work>, readBack: Bool, touched: inout [Site], turnedAway: inout [Work]
    ) {
        var parcels: [(site: Site, parcel: Parcel)] = []
        for work in works {
            var placed = revalidated(work)
            guard hasRoom(for: placed) else {
                askToHold(mailOf: work.message.customer)
                if placed.progress.relay == nil {
                    turnedAway.append(work)
                } else {
                    waitForRelay(placed, until: block(of: placed.place)?.until)
                }
                continue
            }
            take(in: placed)
            guard let site = site(of: placed.place) else {
                domains[placed.place, default: DomainState()].waiting.append(Parcel(placed, readBack: readBack))
                unproven += 1
                continue
            }
            site.works += 1
            if !site.proven { unproven += 1 }
            placed = routed(placed, at: site)
            if placed.progress.relay != nil, !site.isRelay {
                letGo(of: placed, at: site)
                readmit(placed)
                continue
            }
            if let known = parcels.first(where: { $0.site === site && $0.parcel.isLike(placed) }) {
                known.parcel.pieces.append(Parcel.Piece(placed))
            } else {
                parcels.append((site, Parcel(placed, readBack: readBack)))
            }
        }
        for (site, parcel) in parcels {
            enqueue(parcel, at: site)
            if !touched.contains(where: { $0 === site }) { touched.append(site) }
        }
    }

    /// Mail of a blocked domain that waits for a relay is due.
    private mutating func isDueAtRelay(_ name: String, _ block: Site.Block) -> Bool {
        guard block.kind != .suspended, let due = relayDue[name], due <= now else { return false }
        relayDue[name] = nil
        return true
    }

    mutating func enqueue(_ parcel: Parcel, at site: Site) {
        if !site.receiver.pins.isEmpty { usePins(parcel, at: site) }
        if !parcel.readBack { site.claimant = parcel.message.customer }
        if parcel.isPlain(at: site) {
            site.plain.append(parcel, of: parcel.message.customer)
        } else {
            site.picky.append(parcel, of: parcel.message.customer)
        }
    }

    private func hasRoom(for work: Work) -> Bool {
        guard !closing, works < configuration.window, octets < configuration.windowOctets else { return false }
        let hasRoomToTry = unproven < max(1, configuration.window / 2)
        guard !isSuspended(work.domain), order(about: work.message.customer) == nil else { return false }
        guard !isOff || work.progress.relay != nil else { return false }
        guard let state = domains[work.place] else { return hasRoomToTry }
        if let block = state.blocked, block.until > now { return false }
        guard let site = state.site else { return hasRoomToTry }
        if let block = site.blocked, block.until > now { return false }
        guard site.proven || hasRoomToTry else { return false }
        return site.works < max(1, configuration.window / 2)
            && site.waiting(of: work.message.customer) < max(1, configuration.window / 4)
    }

    private mutating func take(in work: Work) {
        works += 1
        octets += work.inlineOctets
    }

    /// The work has left memory, whatever became of it.
    mutating func letGo(of work: Work, at site: Site?) {
        works -= 1
        octets -= work.inlineOctets
        site?.works -= 1
        if site?.proven != true { unproven -= 1 }
    }

    /// Whether a site takes mail was found out.
    mutating func found(_ site: Site, takesMail: Bool) {
        site.failing = !takesMail
        guard site.proven != takesMail else { return }
        site.proven = takesMail
        unproven += takesMail ? -site.works : site.works
    }

    /// Returns a work to the queue as it was handed out.
    ///
    /// - Parameter noted: it says something that the queue has not been told.
    mutating func giveBack(_ work: Work, noted: Bool = false) {
        settlements.append(Settlement(key: work.key, ended: [], remaining: work, unchanged: !noted))
    }

    /// What of a parcel is past its deadline: the queue ends it, and tells of that.
    mutating func giveBackLate(_ parcel: Parcel, at site: Site?) {
        for piece in parcel.pieces where piece.work.deadline <= now {
            letGo(of: piece.work, at: site)
            giveBack(piece.work, noted: piece.noted)
        }
        parcel.pieces.removeAll { $0.work.deadline <= now }
    }

    /// Empties memory of all that waits for a site or domain; the store has it.
    mutating func giveBack(_ parcels: [Parcel], at site: Site?) {
        for parcel in parcels {
            for piece in parcel.pieces {
                letGo(of: piece.work, at: site)
                giveBack(piece.work, noted: piece.noted)
            }
        }
    }

    /// Works that are read of a domain whose site has yet to show that it takes mail: if it is dead, in vain.
    private static let triedAtOnce = 5
    /// Domains that are resolved at a time for mail that was read back: less than half of what the resolver does at
    /// once, so that name servers that do not answer leave new mail's domains their turn.
    private static let askedAtOnce = 100
    /// A site with as much waiting needs no more read back.
    private static let enoughWaiting = 100

    mutating func fetch(_ domain: String) {
        let site = domains[domain]?.site
        let free = configuration.window - works - promised
        let room: Int
        if let site, site.proven {
            guard site.waiting < Self.enoughWaiting else {
                site.domainsWithMore.append(domain)
                return
            }
            room = min(free, configuration.window / 2 - site.works, 500)
        } else {
            // A quarter of the window: the other half of what may be tried is for new mail.
            let failing = site?.failing ?? domains[domain]?.failing ?? false
            guard unproven + promised < max(1, configuration.window / (failing ? 8 : 4)),
                (site?.works ?? domains[domain]?.waiting.count ?? 0) < Self.triedAtOnce,
                site != nil || canAsk(failing: failing)
            else {
                return
            }
            room = min(free, Self.triedAtOnce)
        }
        guard room > 0, octets < configuration.windowOctets, (domains[domain]?.promised ?? 0) == 0 else { return }
        if site == nil { beginAsking(domain) }
        domains[domain, default: DomainState()].promised = room
        promised += room
        actions.append(.fetch(domain: domain, limit: room))
    }

    private func canAsk(failing: Bool) -> Bool {
        askedForOld < Self.askedAtOnce && (!failing || askedForFailing < Self.askedAtOnce / 2)
    }

    private mutating func beginAsking(_ domain: String) {
        var state = domains[domain] ?? DomainState()
        guard !state.resolving, state.asked == nil else { return }
        state.asked = state.failing ? .failing : .old
        askedForOld += 1
        if state.failing { askedForFailing += 1 }
        domains[domain] = state
    }

    mutating func endAsking(_ domain: String) {
        guard let asked = domains[domain]?.asked else { return }
        domains[domain]?.asked = nil
        askedForOld -= 1
        if asked == .failing { askedForFailing -= 1 }
    }

    /// What the store remembers of a domain counts until its site has shown that it takes mail.
    private mutating func note(_ domain: String, failing: Bool) {
        guard failing else { return }
        if let site = domains[domain]?.site {
            if !site.proven { site.failing = true }
        } else {
            domains[domain, default: DomainState()].failing = true
        }
    }

    /// Reads back more for a site that is running dry.
    mutating func refill(_ site: Site) {
        guard !closing, site.proven, (site.blocked?.until ?? now) <= now, site.waiting < Self.enoughWaiting,
            let domain = site.domainsWithMore.popFirst()
        else {
            return
        }
        fetch(domain)
    }
}

extension Work {
    fileprivate var inlineOctets: Int {
        if case .inline(let buffer) = message.content { return buffer.readableBytes }
        return 0
    }
}
