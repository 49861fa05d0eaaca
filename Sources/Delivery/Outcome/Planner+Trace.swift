import Mail
import Queue

/// What the planner tells the history: each decision with its grounds.
extension Planner {
    mutating func trace(
        _ group: AnswerGroup, _ judgement: Judgement, of parcel: Parcel, on session: OpenSession, next: Timestamp?
    ) {
        var attempt = attempt(parcel, on: session, group.recipients, group.answer)
        attempt.cause = judgement.reading?.cause
        attempt.rule = judgement.reading?.rule
        attempt.decision = judgement.verdict.name
        attempt.why = judgement.why
        if session.site.isRelay, judgement.verdict == .delivered {
            attempt.decision = "relayed"
            attempt.why = "accepted by the relay \(session.site.key.relay ?? "")"
        }
        if case .later = judgement.verdict { attempt.next = next }
        actions.append(.trace(.attempted(attempt)))
        if judgement.verdict == .failed {
            traceEnd(parcel.message.id, group.recipients, .failed, "\(session.plan.host) \(group.answer.said)")
        }
    }

    private mutating func attempt(
        _ parcel: Parcel, on session: OpenSession, _ recipients: [Address], _ answer: PhaseAnswer
    ) -> TraceEvent.Attempt {
        var reply: Reply?
        var trouble: String?
        switch answer.answer {
        case .reply(let said): reply = said
        case .trouble(_, let text): trouble = text
        }
        return TraceEvent.Attempt(
            id: nextAttempt(), message: parcel.message.id, at: now, site: session.site.name,
            source: session.plan.source.name, sourceAddress: session.plan.source.address, host: session.plan.host,
            hostAddress: session.plan.address, tls: session.tls, recipients: recipients, phase: answer.phase,
            reply: reply, trouble: trouble, decision: "", why: "")
    }

    /// A session that did not open, told to the first of those that waited for it.
    mutating func traceOpening(
        _ session: OpenSession, _ answer: PhaseAnswer, _ reading: Reading, _ decision: String, _ why: String,
        next: Timestamp? = nil
    ) {
        let waiting = session.site.plain.some(Self.tracedAtOnce) + session.site.picky.some(Self.tracedAtOnce)
        for parcel in waiting.prefix(Self.tracedAtOnce) {
            var attempt = attempt(parcel, on: session, parcel.pieces.flatMap(\.next), answer)
            attempt.cause = reading.cause
            attempt.rule = reading.rule
            attempt.decision = decision
            attempt.why = why
            attempt.next = next
            actions.append(.trace(.attempted(attempt)))
        }
    }

    /// It never came to a session: no hosts are known, or no source is free.
    mutating func traceUnattempted(
        _ parcel: Parcel, site: String, _ answer: Answer, phase: Phase, next: Timestamp
    ) {
        let reading = rules.read(PhaseAnswer(phase: phase, answer: answer), site: site)
        let said: String
        switch answer {
        case .reply(let reply): said = reply.description
        case .trouble(_, let text): said = text
        }
        actions.append(
            .trace(
                .attempted(
                    TraceEvent.Attempt(
                        id: nextAttempt(), message: parcel.message.id, at: now, site: site,
                        recipients: parcel.pieces.flatMap(\.next), phase: phase, trouble: said, cause: reading.cause,
                        rule: reading.rule, decision: "later", why: "nothing could be sent", next: next))))
    }

    mutating func traceEnd(_ message: MessageID, _ recipients: [Address], _ how: RecipientEnd, _ reason: String) {
        actions.append(
            .trace(.ended(TraceEvent.End(message: message, at: now, recipients: recipients, how: how, reason: reason))))
    }
}
