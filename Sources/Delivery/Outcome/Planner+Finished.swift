package import Mail
import Queue

/// What a finished transaction means for each of its recipients.
extension Planner {
    package mutating func finished(_ id: SessionID, _ result: TransactionResult, at now: Timestamp) {
        self.now = now
        guard let session = sessions[id], let parcel = session.parcel else { return }
        session.parcel = nil
        session.sent += 1
        tally(result, on: session)
        var offset = 0
        var goingOn: [Parcel.Piece] = []
        for piece in parcel.pieces {
            let answers = result.answers.dropFirst(offset).prefix(piece.wired)
            offset += piece.wired
            guard let rest = settle(piece, answers, of: parcel, on: session) else { continue }
            if rest.isRecalled {
                letGo(of: rest.work, at: session.site)
                giveBack(rest.work, noted: true)
            } else {
                goingOn.append(rest)
            }
        }
        if !result.reusable { forget(session) }
        goingOn = leave(goingOn, session.site)
        goingOn = keepBack(goingOn, at: session.site)
        for next in parcels(of: goingOn, after: parcel) {
            if next.isPlain(at: session.site) {
                session.site.plain.prepend(next, of: next.message.customer)
            } else {
                session.site.picky.append(next, of: next.message.customer)
            }
        }
        if result.reusable {
            rest(session)
        } else {
            refill(session.site)
            if session.site.waiting > 0 { dispatch(session.site) }
        }
    }

    /// What goes on at once, together where it goes the same way.
    private func parcels(of pieces: [Parcel.Piece], after parcel: Parcel) -> [Parcel] {
        var parcels: [Parcel] = []
        for piece in pieces {
            if let like = parcels.first(where: { $0.isLike(piece.work) }) {
                like.pieces.append(piece)
                continue
            }
            let next = Parcel(message: parcel.message, pieces: [piece])
            next.redone = parcel.redone + 1
            next.passed = parcel.passed
            next.eightBitAsIs = parcel.eightBitAsIs
            parcels.append(next)
        }
        return parcels
    }

    /// What goes on at a relay leaves the receiver that it was at.
    private mutating func leave(_ pieces: [Parcel.Piece], _ site: Site) -> [Parcel.Piece] {
        guard !site.isRelay, pieces.contains(where: { $0.work.progress.relay != nil }) else { return pieces }
        for piece in pieces where piece.work.progress.relay != nil {
            letGo(of: piece.work, at: site)
            readmit(piece.work)
        }
        return pieces.filter { $0.work.progress.relay == nil }
    }

    /// Sorts one work's recipients by their answers. Returns the piece when some of it goes on at once.
    private mutating func settle(
        _ piece: Parcel.Piece, _ answers: ArraySlice<PhaseAnswer>, of parcel: Parcel, on session: OpenSession
    ) -> Parcel.Piece? {
        var piece = piece
        let tried = piece.next.prefix(piece.wired)
        var rest = Array(piece.next.dropFirst(piece.wired))
        var ended: [Settlement.Ended] = []
        var again: [Address] = []
        var judged: [(AnswerGroup, Judgement)] = []
        let began = piece.work.progress.step
        piece.work.progress.site = session.site.name
        piece.work.progress.source = session.plan.source.name
        piece.work.progress.attempts += 1
        piece.work.progress.relay?.attempts += 1
        var groups = AnswerGroups()
        for (recipient, answer) in zip(tried, answers) {
            groups.add(recipient, answer)
        }
        noteDoubt(groups, &piece, on: session)
        noteFault(groups, &piece, on: session)
        for group in groups.all {
            var judgement = judge(group.answer, for: piece, of: parcel, on: session)
            if case .otherSource = judgement.verdict {
                cool(session, group.answer, judgement.reading)
                if !keepInDoubt(&judgement, piece, on: session) { step(&piece, from: began, session, &judgement) }
            } else if !keepInDoubt(&judgement, piece, on: session) {
                tryAnotherOnce(&judgement, &piece, on: session)
            }
            heedVolume(&piece, session, &judgement)
            account(group, judgement, of: parcel, on: session)
            switch judgement.verdict {
            case .delivered:
                warm(session)
                passed(group.recipients, of: parcel.message, on: session)
                for recipient in group.recipients {
                    ended.append(delivered(recipient, group.answer, of: parcel, on: session))
                }
            case .failed:
                let quoted = quoted(group.answer, judgement, piece, host: session.plan.host)
                let reason = "\(session.plan.host) \(group.answer.said)"
                for recipient in group.recipients {
                    ended.append(end(recipient, .failed, reason, quoting: quoted, way(of: piece, group.answer)))
                }
            case .otherSource, .freshSession, .relay:
                again += group.recipients
            case .otherHost:
                parcel.passed.insert(session.plan.address)
                again += group.recipients
            case .asIs:
                parcel.eightBitAsIs = true
                again += group.recipients
            case .later(let atLeast, let samePath):
                if let reading = judgement.reading { learn(reading, group, of: parcel, on: session) }
                piece.aside += group.recipients
                wait(&piece, atLeast, samePath, judgement, on: session)
            }
            if let reading = judgement.reading {
                let refusal = refusal(group.answer, reading, host: session.plan.host)
                note(refusal, in: &piece.work.progress)
            }
            judged.append((group, judgement))
        }
        rest = again + rest
        let next = rest.isEmpty && !piece.aside.isEmpty ? due(after: piece) : nil
        for (group, judgement) in judged { trace(group, judgement, of: parcel, on: session, next: next) }
        return conclude(piece, ended: ended, goingOn: rest, due: next, at: session.site)
    }

    /// It comes again then: with the schedule, or, of what was too much, as soon as the receiver's pace allows.
    private func wait(
        _ piece: inout Parcel.Piece, _ atLeast: Timestamp.Span?, _ samePath: Bool, _ judgement: Judgement,
        on session: OpenSession
    ) {
        let opens = judgement.reading?.cause == .volume ? paceOpens(on: session) - now : nil
        // Of what is in doubt the source of the doubt.
        let kept = piece.work.progress.doubted ? piece.work.progress.pinned : nil
        piece.wait = Parcel.Wait(
            atLeast: [piece.wait?.atLeast, atLeast, opens].compactMap { $0 }.max(),
            pinned: samePath ? kept ?? session.plan.source.name : piece.wait?.pinned,
            isPaced: opens != nil && piece.wait?.isPaced ?? true)
    }

    /// What a refusal for now says about the way there.
    private mutating func learn(
        _ reading: Reading, _ group: AnswerGroup, of parcel: Parcel, on session: OpenSession
    ) {
        switch reading.cause {
        case .greylist: pin(group.recipients, of: parcel.message, to: session)
        case .volume: slow(session, group.answer, reading)
        default: break
        }
    }

    private func judge(
        _ answer: PhaseAnswer, for piece: Parcel.Piece, of parcel: Parcel, on session: OpenSession
    ) -> Judgement {
        if answer.phase == .dot, case .reply(let reply) = answer.answer, reply.isPositive {
            return Judgement(verdict: .delivered, reading: nil, why: "accepted by the receiver")
        }
        let reading = rules.read(answer, site: session.site.name)
        if session.site.isRelay {
            var judgement = judgeAtRelay(answer, reading, on: session, parcel)
            seekHost(&judgement, answer, of: parcel, on: session)
            return judgement
        }
        var judgement = Judgement(
            of: answer, read: reading, reused: session.sent > 1 && parcel.redone < 3,
            firstRound: piece.work.progress.rounds == 0)
        seekHost(&judgement, answer, of: parcel, on: session)
        return judgement
    }

    /// A source was refused: remembers it with the work and its path, and walks the route's steps; one at a time,
    /// however many of the recipients were refused and in whatever words.
    ///
    /// - Parameter began: the step that the transaction was at.
    private mutating func step(
        _ piece: inout Parcel.Piece, from began: Int, _ session: OpenSession, _ judgement: inout Judgement
    ) {
        let name = session.plan.source.name
        tallies[session.source].blamed += 1
        let route = piece.work.progress.route
        let steps = table.steps(of: route)
        guard piece.work.progress.step == began else {
            // Another recipient's refusal took the step.
            if piece.work.progress.relay != nil {
                judgement.verdict = .relay
            } else if piece.work.progress.step >= steps.count {
                judgement.verdict = .later(atLeast: nil, samePath: false)
            }
            return
        }
        if !piece.work.progress.tried.contains(name) { piece.work.progress.tried.append(name) }
        piece.work.progress.pinned = nil
        let step = table.usable(route, from: piece.work.progress.step)
        guard step < steps.count, let pool = table.pool(of: route, step: step) else {
            if enterRelayAtLast(&piece, &judgement) { return }
            judgement.verdict = .later(atLeast: nil, samePath: false)
            judgement.why += "; the route is spent, so one source is tried in each round"
            return
        }
        let used = piece.work.progress.tried.count { table.number(of: $0).map { pool.isMember[$0] } ?? false }
        piece.prefersKnown = judgement.reading?.refusesUnknown ?? false
        let refused = piece.work.progress.tried
        let isHopeless = piece.prefersKnown && known(in: pool, at: session.site, tried: refused).isEmpty
        // Neighbours share a network's reputation: for `range` the rest of the step is not tried; nor where the
        // receiver refuses every address that it does not know, and there is none that it knows.
        guard used >= steps[step].budget || judgement.reading?.cause == .range || isHopeless else { return }
        piece.work.progress.step = step + 1
        if let relay = relayAfter(step, of: route) {
            piece.work.progress.step = relay
            piece.work = atRelay(piece.work, cause: judgement.reading?.cause ?? .source)
            judgement.why += "; the steps before the relay are spent after \(used) sources"
            guard piece.work.progress.relay == nil else { return judgement.verdict = .relay }
            judgement.verdict = .later(atLeast: nil, samePath: false)
            if case .relay(let name, _) = steps[relay], let objection = objection(of: name, to: piece.work) {
                judgement.why += ", and \(objection)"
            }
        } else if piece.work.progress.step >= steps.count {
            judgement.verdict = .later(atLeast: nil, samePath: false)
            judgement.why += "; the route is spent after \(used) sources"
        }
    }

    /// What a relay says is kept apart: notices quote the receiver.
    private func note(_ refusal: Refusal, in progress: inout Progress) {
        let isRelays = progress.relay.map { $0.attempts > 0 } ?? false
        if !isRelays || progress.firstRefusal == nil { progress.firstRefusal.note(refusal) }
        progress.lastRefusal = refusal.description
        guard isRelays else { return }
        progress.relay?.said = refusal.description
        progress.relay?.reply = refusal.answer.reply
    }

    func refusal(_ answer: PhaseAnswer, _ reading: Reading, host: String) -> Refusal {
        Refusal(host: host, phase: answer.phase, answer: answer.answer, cause: reading.cause, at: now)
    }

    /// What the sender reads: the answer that ended it, or, where that says less, the first that told more.
    private func quoted(
        _ answer: PhaseAnswer, _ judgement: Judgement, _ piece: Parcel.Piece, host: String
    ) -> Refusal? {
        guard let reading = judgement.reading else { return nil }
        // The relay's words come second: what the sender can change is what the receiver said.
        if piece.work.progress.relay != nil, let first = piece.work.progress.firstRefusal { return first }
        let last = refusal(answer, reading, host: host)
        guard let first = piece.work.progress.firstRefusal, first.weight > last.weight else { return last }
        return first
    }

    /// A host that does not offer DSN will not tell of its success, so we do where it was asked for (RFC 3461 section
    /// 5.2.2).
    private func delivered(
        _ recipient: Address, _ answer: PhaseAnswer, of parcel: Parcel, on session: OpenSession
    ) -> Settlement.Ended {
        let how = session.site.isRelay ? RecipientEnd.relayed : .delivered
        guard !session.notices, parcel.message.request.wants(.success, for: recipient) else {
            // The attempt has the receiver's words; nobody is told of an end like this.
            return end(recipient, how, "")
        }
        var end = end(recipient, how, answer.said)
        end.isRelayed = true
        end.quoted = Refusal(
            host: session.plan.host, phase: answer.phase, answer: answer.answer, cause: .unknown, at: now)
        return end
    }

    /// Writes down what ended and what remains; the piece comes back when some of it goes on at once.
    private mutating func conclude(
        _ piece: Parcel.Piece, ended: [Settlement.Ended], goingOn: [Address], due: Timestamp?, at site: Site
    ) -> Parcel.Piece? {
        var piece = piece
        let left = goingOn + piece.aside
        guard !left.isEmpty else {
            settlements.append(Settlement(key: piece.work.key, ended: ended, remaining: nil))
            letGo(of: piece.work, at: site)
            return nil
        }
        piece.work.recipients = left
        guard goingOn.isEmpty else {
            piece.next = goingOn
            piece.wired = 0
            settlements.append(
                Settlement(key: piece.work.key, ended: ended, remaining: piece.work, stillHandedOut: true))
            return piece
        }
        deferWork(piece, ended: ended, due: due ?? now, at: site)
        return nil
    }

    /// Back to the queue until the next round.
    private mutating func deferWork(
        _ piece: Parcel.Piece, ended: [Settlement.Ended], due: Timestamp, at site: Site
    ) {
        var work = piece.work
        work.progress.due = due
        if piece.wait?.isPaced != true { work.progress.rounds += 1 }
        work.progress.pinned = piece.wait?.pinned
        if work.progress.relay != nil { rememberRelay(work) }
        settlements.append(Settlement(key: work.key, ended: ended, remaining: work))
        letGo(of: piece.work, at: site)
    }

    private mutating func due(after piece: Parcel.Piece) -> Timestamp {
        let scheduled = wait(round: piece.work.progress.rounds)
        let span: Timestamp.Span
        switch piece.wait {
        case .some(let wait) where wait.isPaced: span = wait.atLeast ?? scheduled
        case let wait: span = max(scheduled, wait?.atLeast ?? scheduled)
        }
        return min(now + span, piece.work.deadline)
    }

    /// The schedule's wait with its jitter.
    mutating func wait(round: Int) -> Timestamp.Span {
        let schedule = configuration.schedule
        guard let last = schedule.last else { return .minutes(30) }
        let base = Double((round < schedule.count ? schedule[max(0, round)] : last).milliseconds)
        let factor = 1 + configuration.jitter * Double.random(in: -1...1, using: &random)
        return Timestamp.Span(milliseconds: Int64(min(max(1, base * factor), 1e15)))
    }

    /// Works that found no source go back to the schedule as a whole.
    mutating func postpone(_ parcel: Parcel, at site: Site, why: String) {
        for piece in parcel.pieces {
            var piece = piece
            piece.aside = piece.work.recipients
            if let kept = keptInDoubt(piece.work, at: site) { piece.wait = kept }
            let next = due(after: piece)
            traceUnattempted(parcel, site: site.name, .trouble(.local, why), phase: .connect, next: next)
            deferWork(piece, ended: [], due: next, at: site)
        }
    }

    /// Every recipient of the parcel fails.
    mutating func end(_ parcel: Parcel, at site: Site, cause: Cause, why: String) {
        giveBackLate(parcel, at: site)
        for piece in parcel.pieces {
            let recipients = piece.work.recipients
            let quoted = Refusal(
                host: nil, phase: .connect, answer: .trouble(.forbidden, why), cause: cause, at: now)
            settlements.append(
                Settlement(
                    key: piece.work.key, ended: recipients.map { end($0, .failed, why, quoting: quoted) },
                    remaining: nil))
            traceEnd(parcel.message.id, recipients, .failed, why)
            letGo(of: piece.work, at: site)
        }
    }

    private func end(
        _ recipient: Address, _ how: RecipientEnd, _ reason: String, quoting quoted: Refusal? = nil,
        _ way: RecipientReport.Way? = nil
    ) -> Settlement.Ended {
        Settlement.Ended(recipient: recipient, how: how, reason: reason, at: now, quoted: quoted, way: way)
    }

    /// For the notice: how far it came before the relay had the last word.
    private func way(of piece: Parcel.Piece, _ answer: PhaseAnswer) -> RecipientReport.Way? {
        var way = piece.work.progress.way
        way?.said = answer.said
        way?.reply = answer.answer.reply
        return way
    }
}

/// Recipients of one work that got the same answer.
struct AnswerGroup {
    var answer: PhaseAnswer
    var recipients: [Address]
}

/// The answers of one work, in the order of their first; most works have one.
struct AnswerGroups {
    private(set) var all: [AnswerGroup] = []

    mutating func add(_ recipient: Address, _ answer: PhaseAnswer) {
        if let index = all.firstIndex(where: { $0.answer == answer }) {
            all[index].recipients.append(recipient)
        } else {
            all.append(AnswerGroup(answer: answer, recipients: [recipient]))
        }
    }
}
