import Mail

/// Too much at once: slower, and remembered.
extension Planner {
    /// The receiver complained of too much mail or too many sessions, in all or from this source.
    mutating func slow(_ session: OpenSession, _ answer: PhaseAnswer, _ reading: Reading) {
        let receiver = session.receiver
        guard reading.isPerSource else {
            let observed = (rate: receiver.meter.perMinute(at: now), sessions: receiver.sessions)
            receiver.pace = slowed(receiver.pace, observed, answer, reading, receiver, nil)
            return noteChange(.pace, receiver)
        }
        let minutes = max(1, Double((now - (session.opened ?? now)).milliseconds) / 60_000)
        let rate = max(1, Double(session.sent) / minutes)
        let address = session.plan.source.address
        let sessions = (receiver.paths[address] ?? begunPath(of: session)).sessions
        let pace = slowed(
            receiver.paths[address]?.pace, (rate, sessions), answer, reading, receiver, session.plan.source.name)
        changePath(of: session) { $0.pace = pace }
    }

    private mutating func slowed(
        _ old: Pace?, _ observed: (rate: Double, sessions: Int), _ answer: PhaseAnswer, _ reading: Reading,
        _ receiver: Receiver, _ source: String?
    ) -> Pace {
        let said = firstLine(answer)
        var pace =
            old
            ?? Pace(rate: observed.rate, sessions: observed.sessions, rule: reading.rule, reply: said, at: now)
        pace.lower(observed: observed, hold: reading.hold, at: now)
        pace.rule = reading.rule
        pace.reply = said
        if old == nil { log(.slowedDown, receiver, source, said) }
        return pace
    }

    /// When what was too much on this session may come again.
    func paceOpens(on session: OpenSession) -> Timestamp {
        let paces = [session.receiver.pace, session.receiver.paths[session.plan.source.address]?.pace]
        return paces.compactMap { $0?.opens(after: now) }.max() ?? now
    }

    /// Whether the session's receiver and path let another message begin now.
    func mayBegin(on session: OpenSession) -> Bool {
        let receiver = session.receiver
        guard receiver.pace?.isReady(at: now) ?? true else { return false }
        guard !receiver.paths.isEmpty else { return true }
        return receiver.paths[session.plan.source.address]?.pace?.isReady(at: now) ?? true
    }

    /// A message begins.
    func spend(on session: OpenSession) {
        let receiver = session.receiver
        receiver.meter.note(at: now)
        receiver.pace?.spend(at: now)
        guard !receiver.paths.isEmpty else { return }
        receiver.paths[session.plan.source.address]?.pace?.spend(at: now)
    }

    /// Raises what was lowered, as time goes on.
    mutating func raisePaces() {
        for receiver in receivers.values where !receiver.isBlank {
            if receiver.pace?.raise(at: now) == true {
                receiver.pace = nil
                noteChange(.pace, receiver)
            }
            for (address, path) in receiver.paths {
                guard var pace = path.pace else { continue }
                let before = pace
                let isOver = pace.raise(at: now)
                guard isOver || pace != before else { continue }
                receiver.paths[address]?.pace = isOver ? nil : pace
                if receiver.paths[address]?.isEmpty == true { receiver.paths[address] = nil }
                if isOver { noteChange(.path(address), receiver) }
            }
        }
    }
}
