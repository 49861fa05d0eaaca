import Mail

/// Too much at once: slower, and remembered.
extension Planner {
    /// The receiver complained of too much mail or too many sessions.
    mutating func slow(_ session: OpenSession, _ answer: PhaseAnswer, _ reading: Reading) {
        let receiver = session.receiver
        let now = now
        let said = firstLine(answer)
        let minutes = max(1, Double((now - (session.opened ?? now)).milliseconds) / 60_000)
        if reading.isPerSource {
            changePath(of: session) { path in
                let rate = max(1, Double(session.sent) / minutes)
                var pace =
                    path.pace
                    ?? Pace(
                        rate: rate, sessions: path.sessions, rule: reading.rule, reply: said, at: now)
                pace.lower(observed: (rate, path.sessions), hold: reading.hold, at: now)
                pace.rule = reading.rule
                pace.reply = said
                path.pace = pace
            }
        } else {
            let rate = receiver.meter.perMinute(at: now)
            var pace =
                receiver.pace
                ?? Pace(
                    rate: rate, sessions: receiver.sessions, rule: reading.rule, reply: said, at: now)
            pace.lower(observed: (rate, receiver.sessions), hold: reading.hold, at: now)
            pace.rule = reading.rule
            pace.reply = said
            receiver.pace = pace
            noteChange(.pace, receiver)
        }
    }

    /// When a message may begin at the receiver, whatever the source.
    func opens(_ receiver: Receiver) -> Timestamp { receiver.pace?.opens(after: now) ?? now }

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
