import Mail

/// What follows for one recipient from what a receiver answered.
enum Verdict: Equatable {
    case delivered
    /// It ends here: no retry and no other source will help.
    case failed
    /// At once, from another source.
    case otherSource
    /// At once, through the relay of its route.
    case relay
    /// At once, at another host of the site.
    case otherHost
    /// At once, 8-bit content and all, to a host that does not offer 8BITMIME.
    case asIs
    /// At once on a fresh session: the one at hand had gone stale before anything was said about this message.
    case freshSession
    case later(atLeast: Timestamp.Span?, samePath: Bool)

    /// As a trace tells it.
    var name: String {
        switch self {
        case .delivered: "delivered"
        case .failed: "failed"
        case .otherSource: "another source"
        case .relay: "the relay"
        case .otherHost: "another host"
        case .freshSession, .asIs: "again at once"
        case .later: "later"
        }
    }
}

/// A verdict with its grounds.
struct Judgement {
    var verdict: Verdict
    /// nil when the recipient was accepted.
    var reading: Reading?
    var why: String
}

extension Judgement {
    /// Decides by the cause of an answer, not by its code.
    ///
    /// - Parameters:
    ///   - reused: an earlier transaction went well on the same session.
    ///   - firstRound: the message has not been deferred before.
    init(of answer: PhaseAnswer, read reading: Reading, reused: Bool, firstRound: Bool) {
        let permanent = if case .reply(let reply) = answer.answer { reply.isPermanent } else { false }
        let transient = if case .reply(let reply) = answer.answer { reply.isTransient } else { false }
        self.reading = reading
        switch reading.cause {
        case .source:
            verdict = .otherSource
            why = "the refusal is about our address"
        case .range:
            verdict = .otherSource
            why = "the refusal is about our network"
        case .greylist:
            verdict = .later(atLeast: reading.hold ?? .minutes(5), samePath: true)
            why = "first contact: the same source comes again"
        case .volume:
            verdict = .later(atLeast: reading.hold, samePath: false)
            why = "too much at once for this receiver"
        case .host where reused && answer.phase == .mail:
            verdict = .freshSession
            why = "the session had gone stale"
        case .host, .mailbox, .tls, .local:
            verdict = .later(atLeast: reading.hold, samePath: false)
            why = "the receiver or the way to it is in trouble for now"
        case .uncertain:
            verdict = .later(atLeast: reading.hold, samePath: true)
            why = "possible duplicate: nobody answered after the final dot, so the same source comes again"
        case .recipient, .domain:
            // A receiver whose directory is being set up says 450 to every name.
            verdict = transient ? .later(atLeast: reading.hold, samePath: firstRound) : .failed
            why = transient ? "the receiver is not sure yet" : "no retry will help"
        case .content, .auth, .size, .protocol, .unknown:
            // Whoever comes with the same letter from address after address looks like a snowshoe spammer.
            let staysPut = reading.cause == .content || reading.cause == .auth
            verdict = permanent ? .failed : .later(atLeast: reading.hold, samePath: firstRound || staysPut)
            why = permanent ? "a permanent refusal that no other source changes" : "a temporary refusal"
            switch answer.answer {
            case .trouble(.missingExtension, _), .trouble(.missing8BitMIME, _), .trouble(.tooLarge, _):
                verdict = .failed
            default: break
            }
        }
    }
}
