import DNS
import Mail
import Queue

/// Which route and which of its steps a message is at.
extension Planner {
    /// From now on mail of these customers takes these routes, where no route is for it that asks for more: what was
    /// not tried yet, and all that comes.
    ///
    /// - Parameter routes: names of routes, by customer; one that the map does not have counts when it has it.
    package mutating func assign(_ routes: [String: String]) { table.assign(routes) }

    /// What the map no longer has is let go of: a route that vanished is chosen anew with the tried sources kept, a pin
    /// to a source that is gone is released, and a relay that the route lost is left.
    mutating func revalidated(_ work: Work) -> Work {
        let progress = work.progress
        let isGone = table.routes[progress.route] == nil
        let pin = progress.pinned.flatMap { table.number(of: $0) == nil ? $0 : nil }
        let relay = isGone || !stands(progress) ? progress.relay : nil
        guard isGone || pin != nil || relay != nil else { return work }
        var work = work
        if let pin {
            work.progress.pinned = nil
            log(.notice, "the source that mail waited for is gone, any other will do", work, ["source": pin])
        }
        if relay != nil || isGone {
            work.progress.relay = nil
            work.progress.step = 0
        }
        if isGone {
            log(.notice, "the route of mail is gone, another one is chosen", work, ["route": progress.route])
            // Chosen when the receiver is known.
            work.progress.route = ""
        }
        return work
    }

    /// Whether the step that it is at is still the relay that it was given to.
    private func stands(_ progress: Progress) -> Bool {
        guard let relay = progress.relay else { return true }
        let steps = table.steps(of: progress.route)
        return steps.indices.contains(progress.step) && steps[progress.step].relay == relay.name
    }

    /// The work with its route: chosen before its first attempt, and remembered from then on.
    mutating func routed(_ work: Work, at site: Site) -> Work {
        guard work.progress.route.isEmpty || (work.progress.isUntouched && !table.choice.isTrivial) else {
            return atRelay(work, cause: .unknown)
        }
        var work = work
        let isNew = !work.progress.route.isEmpty
        work.progress.route = table.choice.route(of: RouteChoice.Mail(work, site: names(of: site)))
        return isNew || work.progress.tried.isEmpty ? atRelay(work, cause: .unknown) : work
    }

    /// The names that a route's `site` may mean.
    func names(of site: Site) -> [String] {
        [site.allowance?.rule.name].compactMap(\.self) + site.hosts.map { $0.name.lowercased() }
    }

    /// Goes to the next step where the receiver refused the sources of the one that the work is at: every one of its
    /// pool was tried with it, or rests there because of its address or range.
    ///
    /// - Returns: nil where it stays: what may have arrived, or was found fault with, waits.
    mutating func advanced(_ work: Work, at site: Site) -> Work? {
        guard !work.progress.doubted, work.progress.faultedAt == nil else { return nil }
        let steps = table.steps(of: work.progress.route)
        var work = work
        let began = work.progress.step
        while work.progress.step < steps.count, let cause = spent(work, at: site) {
            guard work.progress.step + 1 < steps.count else { break }
            work.progress.step += 1
            work.progress.pinned = nil
            work = atRelay(work, cause: cause)
            if work.progress.relay != nil { break }
        }
        return work.progress.step == began ? nil : work
    }

    /// Why the receiver takes nothing from the pool of its step; nil while a source of it may be free or may yet be.
    private func spent(_ work: Work, at site: Site) -> Cause? {
        let progress = work.progress
        guard !site.isRelay, let pool = table.pool(of: progress.route, step: progress.step), !pool.members.isEmpty
        else { return nil }
        let tried = Set(progress.tried.compactMap(table.number(of:)))
        var cause: Cause?
        for number in pool.members {
            if let rest = site.receiver.refusal(of: table.sources[number], at: now) {
                cause = rest.cause
            } else {
                // One that is only slow, or may be shown again, has a turn to come.
                guard tried.contains(number) else { return nil }
                cause = cause ?? .source
            }
        }
        return cause
    }

    /// No source of its pool is free for a parcel: what of it has a further step goes there.
    ///
    /// - Returns: false when all of it stays where it is.
    mutating func advance(_ parcel: Parcel, at site: Site) -> Bool {
        let next = parcel.pieces.map { advanced($0.work, at: site) }
        guard next.contains(where: { $0 != nil }) else { return false }
        for (piece, work) in zip(parcel.pieces, next) {
            letGo(of: piece.work, at: site)
            readmit(work ?? piece.work)
        }
        return true
    }

    /// All that waits at a site of which no source is free goes on where it has a further step.
    ///
    /// - Returns: false when nothing had one.
    mutating func advanceAll(at site: Site) -> Bool {
        guard table.hasFurtherSteps, !site.isRelay else { return false }
        let parcels = drain(site)
        var advanced = false
        for parcel in parcels {
            if advance(parcel, at: site) { advanced = true } else { enqueue(parcel, at: site) }
        }
        return advanced
    }
}

extension Progress {
    /// Nothing was tried with it yet.
    var isUntouched: Bool {
        rounds == 0 && step == 0 && site == nil && tried.isEmpty && relay == nil && firstRefusal == nil
    }
}
