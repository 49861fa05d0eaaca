import DNS
package import Mail
import Queue

/// What it means that a session could not be opened: nothing was said about any message yet.
extension Planner {
    package mutating func failed(_ id: SessionID, with answer: PhaseAnswer, at now: Timestamp) {
        self.now = now
        guard let session = sessions[id] else { return }
        let site = session.site
        if site.isRelay { return relayFailed(session, answer) }
        let reading = rules.read(answer, site: site.name)
        switch reading.cause {
        case .source, .range:
            charge(session, answer, reading)
            openTrials()
            return
        case .local:
            unbound[session.source] = Unbound(until: now + configuration.unboundRest, why: answer.said)
            traceOpening(session, answer, reading, "another source", "the source cannot be used on this machine")
        case .volume:
            slow(session, answer, reading)
            traceOpening(session, answer, reading, "later", "too much at once for this receiver")
            note(refusal(answer, reading, host: session.plan.host), for: site)
        case .domain where answer.isForbidden:
            site.forbidden.insert(session.plan.address)
            traceOpening(session, answer, reading, "next host", "its address may not be connected to")
        case .tls where session.plan.tls == .opportunistic:
            remember(session.plan.address, at: site) { $0.withoutTLS = now + HostMemory.freshness }
            traceOpening(
                session, answer, reading, "again at once", "TLS failed and no policy asks for it: in the clear")
        default:
            restHost(session, answer, reading)
        }
        forget(session)
        if site.waiting > 0 { dispatch(site) }
        openTrials()
    }

    /// How long a host is believed to take no more sessions than it has.
    private static let enoughSpan = Timestamp.Span.minutes(1)

    /// The host's address rests; the next host is tried, or the site when there is none.
    private mutating func restHost(_ session: OpenSession, _ answer: PhaseAnswer, _ reading: Reading) {
        let site = session.site
        let open = site.sessions - site.opening
        let address = session.plan.address
        // Sessions that were opened together fail together: that is one failure, not twenty.
        let isNews = !rests(address, at: site)
        if isNews {
            let failures = memory(of: address, at: site)?.failures ?? 0
            let rests = now + max(reading.hold ?? .minutes(0), wait(round: failures))
            remember(address, at: site) { host in
                host.rests = rests
                host.failures += 1
            }
        }
        let others = site.hosts.contains { host in
            host.addresses.contains { !rests($0, at: site) && !site.forbidden.contains($0) }
        }
        if others {
            traceOpening(session, answer, reading, "next host", "\(session.plan.host) does not take sessions")
            return
        }
        if open > 0 {
            // It talks to us on those: it may just not want more of them.
            remember(address, at: site) { host in
                host.rests = nil
                host.failures = 0
            }
            site.enough = (open, now + Self.enoughSpan)
            traceOpening(session, answer, reading, "on an open session", "the host takes \(open) sessions at a time")
            return
        }
        let until = restEnds(at: site) ?? now + wait(round: site.failures)
        if isNews { site.failures += 1 }
        found(site, takesMail: false)
        traceOpening(session, answer, reading, "later", "no host of the site takes sessions", next: until)
        note(refusal(answer, reading, host: session.plan.host), for: site)
        block(site, until: until, why: "\(session.plan.host) \(answer.said)")
    }

    /// Those that wait learn why, for the first lines of their bounce; bounded, since a dead site must cost little.
    private func note(_ refusal: Refusal, for site: Site) {
        let line = refusal.description
        for parcel in site.plain.some(Self.tracedAtOnce) + site.picky.some(Self.tracedAtOnce) {
            for index in parcel.pieces.indices {
                // A site that fails the same way again costs its rows nothing.
                guard parcel.pieces[index].work.progress.lastRefusal != line else { continue }
                parcel.pieces[index].work.progress.firstRefusal.note(refusal)
                parcel.pieces[index].work.progress.lastRefusal = line
                parcel.pieces[index].work.progress.site = site.name
                parcel.pieces[index].noted = true
            }
        }
    }

    /// Our address was refused before anything was said: the path rests, and one waiting message is charged with the
    /// source, so that its budget bounds how many addresses are shown to this receiver.
    private mutating func charge(_ session: OpenSession, _ answer: PhaseAnswer, _ reading: Reading) {
        let site = session.site
        cool(session, answer, reading)
        let charged: Parcel?
        if let purpose = session.purpose, take(purpose, from: site) {
            charged = purpose
        } else {
            charged = site.plain.popFirst()
        }
        guard let charged else {
            tallies[session.source].blamed += 1
            forget(session)
            if site.waiting > 0 { dispatch(site) }
            return
        }
        charged.sought = false
        session.parcel = charged
        var wired = 0
        for index in charged.pieces.indices {
            charged.pieces[index].wired = charged.pieces[index].next.count
            wired += charged.pieces[index].wired
        }
        let answers = Array(repeating: answer, count: wired)
        finished(session.id, TransactionResult(answers: answers, reusable: false), at: now)
    }
}

extension PhaseAnswer {
    fileprivate var isForbidden: Bool {
        if case .trouble(.forbidden, _) = answer { return true }
        return false
    }

    /// In one line: the receiver's words, or what happened.
    var said: String { answer.said }
}
