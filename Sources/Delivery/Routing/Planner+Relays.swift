import DNS
import Mail
import Queue

/// The last step of a route: a relay that takes what the receiver does not take from us.
///
/// A relay is a ``Site`` of its own, at a place that no domain has, so that its health and its limits concern nobody
/// else. What waits for it waits in the store by recipient domain, as all mail does, with a due time of its own each;
/// its deadline is the queue's to enforce.
extension Planner {
    /// As long as a relay that does not answer, or does not let us in, is left alone at most: the mail has only hours.
    private static let longestRest = Timestamp.Span.minutes(15)
    /// For a relay that has as much in memory as there is room for.
    private static let noRoom = Timestamp.Span.seconds(30)

    static func place(ofRelay name: String) -> String { "relay \(name)" }

    func relay(at place: String) -> IPMap.Relay? {
        place.hasPrefix("relay ") ? table.relays[String(place.dropFirst(6))] : nil
    }

    /// Where the step that it is at is a relay, the work is from now on at that relay, until its deadline there.
    ///
    /// Mail that is worse than the relay's limit goes past it instead: its route ends before the relay, so each round
    /// tries one source of our own until the message expires and its sender is told. What the receiver found fault with
    /// does the same (the route that is nothing but a relay is the operator's own word).
    mutating func atRelay(_ work: Work, cause: Cause) -> Work {
        let progress = work.progress
        let steps = table.steps(of: progress.route)
        guard progress.relay == nil, steps.indices.contains(progress.step),
            case .relay(let name, let within) = steps[progress.step]
        else { return work }
        var work = work
        if let objection = objection(of: name, to: work) {
            work.progress.step = steps.count
            log(.notice, "mail is kept from the relay", work, ["relay": name, "why": objection])
            return work
        }
        work.progress.relay = Progress.AtRelay(name: name, entered: now, until: now + within, cause: cause)
        work.progress.pinned = nil
        work.progress.due = now
        return work
    }

    /// Why a relay does not get the work; nil where it may.
    func objection(of relay: String, to work: Work) -> String? {
        if work.progress.faultedAt != nil, table.steps(of: work.progress.route).first?.isRelay != true {
            return "it takes nothing that was found fault with"
        }
        return table.relays[relay]?.objection(to: work.message)
    }

    /// Refusals for volume that last longer than the relay's configuration bears lead to it.
    mutating func heedVolume(_ piece: inout Parcel.Piece, _ session: OpenSession, _ judgement: inout Judgement) {
        guard !session.site.isRelay, let cause = judgement.reading?.cause else { return }
        guard cause == .volume else {
            piece.work.progress.volumeSince = nil
            return
        }
        let progress = piece.work.progress
        let since = progress.volumeSince ?? now
        piece.work.progress.volumeSince = since
        let steps = table.steps(of: progress.route)
        guard case .later = judgement.verdict, case .relay(let name, _)? = steps.last, progress.relay == nil,
            !progress.doubted, let longest = table.relays[name]?.afterVolume, now - since >= longest,
            objection(of: name, to: piece.work) == nil
        else { return }
        piece.work.progress.step = steps.count - 1
        piece.work = atRelay(piece.work, cause: .volume)
        judgement.verdict = .relay
        judgement.why += "; it has lasted too long for this route"
    }

    /// After a reload: a relay that changed starts afresh, and what waited for the old one is looked at again.
    mutating func replaceRelays() {
        for site in sites.values where site.isRelay {
            let relay = site.key.relay.flatMap { table.relays[$0] }
            for address in site.hosts.flatMap(\.addresses) where rests(address, at: site) {
                remember(address, at: site) { $0.rests = nil }
            }
            site.blocked = nil
            heed(site)
            guard let relay, relay.port == site.key.port, relay.tls == site.key.tls else {
                for session in sessions.values where session.site === site { session.isRetired = true }
                giveToRelayLater(drain(site), until: now + .seconds(1), why: "the relay's settings changed", at: site)
                continue
            }
            site.allowance = allowance(of: SiteRule(name: Self.place(ofRelay: relay.name), limits: relay.limits))
        }
        for name in table.relays.keys { domains[Self.place(ofRelay: name)]?.blocked = nil }
    }

    /// The relay that comes next for a work whose steps before it are spent.
    func relayAfter(_ step: Int, of route: String) -> Int? {
        let steps = table.steps(of: route)
        return steps.indices.contains(step + 1) && steps[step + 1].isRelay ? step + 1 : nil
    }

    /// The work goes to another site than the one that it was at; the store is told first.
    mutating func readmit(_ work: Work) {
        settlements.append(Settlement(key: work.key, ended: [], remaining: work, stillHandedOut: true))
        for back in take([work], readBack: true) { giveBack(back, noted: true) }
    }

    /// What came too much for a relay's place in memory, or while it rests, comes back on its own.
    mutating func waitForRelay(_ work: Work, until: Timestamp? = nil) {
        var work = work
        work.progress.due = min(max(until ?? now + Self.noRoom, now + .seconds(1)), work.deadline)
        settlements.append(Settlement(key: work.key, ended: [], remaining: work))
        rememberRelay(work)
    }

    /// When it is due, its domain is looked at although the receiver itself may be blocked.
    mutating func rememberRelay(_ work: Work) {
        if relayDue.count < Self.keptDomains || relayDue[work.domain] != nil {
            relayDue[work.domain] = min(relayDue[work.domain] ?? .distantFuture, work.progress.due)
        }
    }

    /// Domains whose mail at a relay is remembered although they themselves are blocked.
    private static let keptDomains = 50_000

    /// Everything that waits for the relay comes back then; the first of it learn why.
    mutating func clearRelay(_ site: Site, until: Timestamp, why: String) {
        giveToRelayLater(drain(site), until: until, why: why, at: site)
    }

    mutating func giveToRelayLater(_ parcels: [Parcel], until: Timestamp, why: String, at site: Site?) {
        for (index, parcel) in parcels.enumerated() {
            if index < Self.tracedAtOnce {
                traceUnattempted(
                    parcel, site: parcel.relay ?? "relay", .trouble(.connection, why), phase: .connect, next: until)
            }
            for piece in parcel.pieces {
                var work = piece.work
                work.progress.relay?.said = why
                work.progress.relay?.reply = nil
                letGo(of: piece.work, at: site)
                waitForRelay(work, until: until)
            }
        }
    }

    /// The relay's host is not to be found: that is never the message's fault.
    mutating func relayUnknown(_ place: String, _ waiting: [Parcel], why: String) {
        var state = domains[place] ?? DomainState()
        let until = now + min(wait(round: state.failures), Self.longestRest)
        state.failures += 1
        state.site = nil
        state.blocked = Site.Block(until: until, why: why)
        domains[place] = state
        log(.error, "the relay's host cannot be resolved", nil, ["relay": place, "error": why])
        giveToRelayLater(waiting, until: until, why: why, at: nil)
    }

    /// It could not be connected, or did not let us in: the relay rests, and nothing of it is about any message.
    mutating func relayFailed(_ session: OpenSession, _ answer: PhaseAnswer) {
        let site = session.site
        let address = session.plan.address
        let failures = memory(of: address, at: site)?.failures ?? 0
        let isOurs = answer.phase == .auth
        let shortest = isOurs ? Timestamp.Span.minutes(5) : .seconds(0)
        let until = now + min(max(wait(round: failures), shortest), Self.longestRest)
        remember(address, at: site) { host in
            host.rests = until
            host.failures += 1
        }
        forget(session)
        log(
            .error, isOurs ? "the relay does not take our credentials" : "the relay takes no session", nil,
            ["relay": site.key.relay ?? "", "host": session.plan.host, "phase": "\(answer.phase)", "said": answer.said])
        let others = site.hosts.contains { host in
            host.addresses.contains { !rests($0, at: site) && !site.forbidden.contains($0) }
        }
        if others, !isOurs {
            if site.waiting > 0 { dispatch(site) }
        } else if site.sessions > site.opening, !isOurs {
            // It talks to us on those: it may just not want more of them.
            remember(address, at: site) { $0.rests = nil }
            site.enough = (site.sessions - site.opening, now + .minutes(1))
        } else {
            found(site, takesMail: false)
            block(site, until: until, why: "\(session.plan.host) \(answer.said) (\(answer.phase))")
        }
        openTrials()
    }

    /// What a relay's answer means: its final no is final, whatever its words; what is about us and not the message
    /// waits (RFC 4954 section 6), and so does all that is temporary.
    func judgeAtRelay(_ answer: PhaseAnswer, _ reading: Reading, on session: OpenSession, _ parcel: Parcel) -> Judgement
    {
        var judgement = Judgement(
            of: answer, read: reading, reused: session.sent > 1 && parcel.redone < 3, firstRound: false)
        guard case .reply(let reply) = answer.answer else {
            if judgement.verdict == .otherSource { judgement.verdict = .later(atLeast: nil, samePath: false) }
            return judgement
        }
        let isOurs = [530, 534, 535, 538, 454].contains(reply.code)
        judgement.verdict = reply.isPermanent && !isOurs ? .failed : .later(atLeast: reading.hold, samePath: false)
        judgement.why =
            isOurs
            ? "the relay does not know us: that is not the message's fault"
            : reply.isPermanent ? "the relay refused it for good" : "the relay does not take it yet"
        return judgement
    }
}

extension Work {
    /// Where it waits in the planner: at its domain, or at the relay that it was given to.
    var place: String { progress.relay.map { Planner.place(ofRelay: $0.name) } ?? domain }

    /// When it ends whatever happens: the message's deadline, or that at its relay where it comes first.
    var deadline: Timestamp { min(message.expires, progress.relay?.until ?? message.expires) }
}

extension Parcel {
    var relay: String? { pieces.lazy.compactMap(\.work.progress.relay?.name).first }
}

extension Site {
    /// It stands for a relay, not for a receiver.
    var isRelay: Bool { key.relay != nil }
}
