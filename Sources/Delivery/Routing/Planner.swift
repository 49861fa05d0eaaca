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
    let configuration: PlannerConfiguration
    let rules: ReplyRules
    let table: SourceTable
    var random: PlannerRandom
    var now = Timestamp(milliseconds: 0)
    var sites: [SiteKey: Site] = [:]
    var domains: [String: DomainState] = [:]
    var hosts: [HostPlace: HostMemory] = [:]
    /// By the name of their rule.
    var allowances: [String: Allowance] = [:]
    var sessions: [SessionID: OpenSession] = [:]
    /// Sources that could not be bound, and until when they are left alone.
    var unbound: [Int: Timestamp] = [:]
    /// Idle ones of all sites.
    var idle = IdleSessions()
    /// Sites with mail waiting that found no session free in all; each opens one when its turn comes.
    var crowdedOut: Deque<Site> = []
    /// Sites with mail waiting that were faster than their rate, or share a receiver that has its sessions.
    var paced: [Site] = []
    /// When that many domains are known, the quiet ones are forgotten.
    var forgetAbove = 10_000
    var forgetHostsAbove = 10_000
    var works = 0
    var octets = 0
    var closing = false
    var actions: [PlannerAction] = []
    var settlements: [Settlement] = []
    private var lastSession: UInt64 = 0
    private var lastAttempt: UInt64 = 0

    package init(configuration: PlannerConfiguration, map: IPMap, rules: ReplyRules, seed: UInt64) {
        self.configuration = configuration
        self.table = SourceTable(map)
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
        var fetching = false
    }

    /// What is to be done about all that happened since the last call, in order.
    package mutating func takeActions() -> [PlannerAction] {
        if !crowdedOut.isEmpty { admitCrowded() }
        if !settlements.isEmpty {
            actions.append(.settle(settlements))
            settlements = []
        }
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
        var turnedAway: [Work] = []
        var touched: [Site] = []
        var index = 0
        while index < works.count {
            var end = index + 1
            while end < works.count, works[end].message === works[index].message { end += 1 }
            place(works[index..<end], touched: &touched, turnedAway: &turnedAway)
            index = end
        }
        for site in touched { dispatch(site) }
        return turnedAway
    }

    /// Due mail was read back from the store.
    package mutating func fetched(domain: String, works: [Work], more: Bool, at now: Timestamp) {
        domains[domain]?.fetching = false
        for work in arrived(works, at: now) { giveBack(work) }
        guard more, let site = domains[domain]?.site, !site.domainsWithMore.contains(domain) else { return }
        site.domainsWithMore.append(domain)
        refill(site)
    }

    /// These domains have due mail in the store: each is fetched, or postponed until its site may be sent to.
    package mutating func due(domains names: [String], at now: Timestamp) {
        self.now = now
        for name in names {
            if let block = block(of: name) {
                actions.append(.postpone(domain: name, until: block.until))
            } else if !closing {
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
        goOnWithPaced()
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
    private mutating func place(_ works: ArraySlice<Work>, touched: inout [Site], turnedAway: inout [Work]) {
        var parcels: [(site: Site, parcel: Parcel)] = []
        for work in works {
            guard hasRoom(for: work) else {
                turnedAway.append(work)
                continue
            }
            take(in: work)
            guard let site = site(of: work.domain) else {
                domains[work.domain, default: DomainState()].waiting.append(Parcel(work))
                continue
            }
            site.works += 1
            if let known = parcels.first(where: { $0.site === site }) {
                known.parcel.pieces.append(Parcel.Piece(work))
            } else {
                parcels.append((site, Parcel(work)))
            }
        }
        for (site, parcel) in parcels {
            enqueue(parcel, at: site)
            if !touched.contains(where: { $0 === site }) { touched.append(site) }
        }
    }

    mutating func enqueue(_ parcel: Parcel, at site: Site) {
        if parcel.isPlain {
            site.plain.append(parcel, of: parcel.message.customer)
        } else {
            site.picky.append(parcel)
        }
    }

    private func hasRoom(for work: Work) -> Bool {
        guard !closing, works < configuration.window, octets < configuration.windowOctets else { return false }
        guard let state = domains[work.domain] else { return true }
        if let block = state.blocked, block.until > now { return false }
        guard let site = state.site else { return true }
        if let block = site.blocked, block.until > now { return false }
        return site.works < max(1, configuration.window / 2)
            && site.plain.count(of: work.message.customer) < max(1, configuration.window / 4)
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
    }

    /// Returns a work to the queue as it was handed out.
    mutating func giveBack(_ work: Work) {
        settlements.append(Settlement(key: work.key, ended: [], remaining: work))
    }

    /// Empties memory of all that waits for a site or domain; the store has it.
    mutating func giveBack(_ parcels: [Parcel], at site: Site?) {
        for parcel in parcels {
            for piece in parcel.pieces {
                letGo(of: piece.work, at: site)
                giveBack(piece.work)
            }
        }
    }

    private mutating func fetch(_ domain: String) {
        let held = domains[domain]?.site?.works ?? 0
        let room = min(configuration.window - works, configuration.window / 2 - held, 500)
        guard room > 0, octets < configuration.windowOctets, domains[domain]?.fetching != true else { return }
        domains[domain, default: DomainState()].fetching = true
        actions.append(.fetch(domain: domain, limit: room))
    }

    /// Reads back more for a site that is running dry.
    mutating func refill(_ site: Site) {
        guard !closing, (site.blocked?.until ?? now) <= now, site.waiting < 100,
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
