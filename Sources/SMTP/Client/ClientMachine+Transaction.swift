import Mail

/// What is known of a running transaction.
struct TransactionProgress {
    var recipients = 0
    var utf8 = false
    var pipelined = false
    var accepted = 0
    /// The refusal of MAIL in a pipelined transaction, whose other replies are still to come.
    var mailRefusal: PhaseAnswer?
    /// Refused recipients by index, in order.
    var refusals: [(index: Int, answer: PhaseAnswer)] = []
    /// What is reported once the session is usable again.
    var outcome: [PhaseAnswer] = []

    /// One answer for each recipient: its own refusal, or else the one given.
    func answers(_ rest: PhaseAnswer) -> [PhaseAnswer] {
        var answers = Array(repeating: mailRefusal ?? rest, count: recipients)
        if mailRefusal == nil {
            for (index, answer) in refusals where index < answers.count {
                answers[index] = answer
            }
        }
        return answers
    }
}

/// One message after the other.
extension ClientMachine {
    /// A transaction is to be sent. What the host would refuse anyway is not even begun.
    ///
    /// - Parameter stray: octets came that answer nothing.
    mutating func send(_ needs: Needs, stray: Bool = false) -> ClientAction {
        guard case .idle = state else { return .wait }
        transaction = TransactionProgress()
        transaction.recipients = needs.recipients
        transaction.utf8 = needs.utf8 || (needs.idn && features.utf8)
        if stray {
            return give(transaction.answers(trouble(.nonsense, "a reply where none was asked for")))
        }
        if needs.unsafe {
            return finish(transaction.answers(trouble(.local, "control characters in an address")))
        }
        if needs.utf8 && !features.utf8 {
            return finish(transaction.answers(trouble(.missingExtension, "the host does not offer SMTPUTF8")))
        }
        if needs.eightBit && !features.eightBit {
            return finish(transaction.answers(trouble(.missing8BitMIME, "the host does not offer 8BITMIME")))
        }
        if let limit = features.size, limit > 0, needs.size > limit {
            return finish(transaction.answers(PhaseAnswer(phase: phase, answer: .tooLarge(limit: limit))))
        }
        state = .mail
        transaction.pipelined = features.pipelining
        return features.pipelining ? .envelope : .mail
    }

    /// The last octet of the content and its final dot are out.
    mutating func contentSent() -> ClientAction {
        guard case .content = state else { return .wait }
        state = .dot
        return .wait
    }

    /// The content cannot be had. The connection is given up without a final dot: a truncated message is never
    /// completed.
    mutating func contentFailed(_ text: String) -> ClientAction {
        guard case .content = state else { return .wait }
        return breakOff(.trouble(.local, text))
    }

    mutating func receivedInTransaction(_ code: UInt16, more: Bool, _ reply: () -> Reply) -> ClientAction {
        if code == 421 {
            return breakOff(.reply(reply()))
        }
        switch state {
        case .mail: return receivedForMail(code, reply)
        case .rcpt(let index): return receivedForRecipient(index, code, reply)
        case .data: return receivedForData(code, reply)
        case .content:
            // The host does not want to hear the rest, which is on its way: nothing can be said after it.
            return code >= 400 ? breakOff(.reply(reply())) : violated("\(code) while content was being sent")
        case .dot: return receivedForDot(code, more: more, reply)
        case .loneDot:
            state = .reset
            return .reset
        case .reset:
            guard code < 300, !more else { return give(transaction.outcome) }
            return finish(transaction.outcome)
        default: return .wait
        }
    }

    /// Ends transaction and session with this answer for every recipient that has no other.
    mutating func breakOff(_ answer: Answer) -> ClientAction {
        switch state {
        case .loneDot, .reset: give(transaction.outcome)
        default: give(transaction.answers(PhaseAnswer(phase: phase, answer: answer)))
        }
    }

    private mutating func receivedForMail(_ code: UInt16, _ reply: () -> Reply) -> ClientAction {
        switch code {
        case 200..<300: break
        case 400...:
            let refusal = PhaseAnswer(phase: .mail, answer: .reply(reply()))
            guard transaction.pipelined else { return reset(transaction.answers(refusal)) }
            transaction.mailRefusal = refusal
        default: return violated("\(code) to MAIL")
        }
        state = .rcpt(0)
        return transaction.pipelined ? .wait : .rcpt(0)
    }

    private mutating func receivedForRecipient(_ index: Int, _ code: UInt16, _ reply: () -> Reply) -> ClientAction {
        switch code {
        case 200..<300: transaction.accepted += 1
        case 400...: transaction.refusals.append((index, PhaseAnswer(phase: .rcpt, answer: .reply(reply()))))
        default: return violated("\(code) to RCPT")
        }
        if index + 1 < transaction.recipients {
            state = .rcpt(index + 1)
            return transaction.pipelined ? .wait : .rcpt(index + 1)
        }
        if transaction.pipelined {
            state = .data
            return .wait
        }
        guard transaction.accepted > 0 else { return reset(transaction.answers(trouble(.nonsense, ""))) }
        state = .data
        return .data
    }

    private mutating func receivedForData(_ code: UInt16, _ reply: () -> Reply) -> ClientAction {
        switch code {
        case 300..<400:
            if transaction.mailRefusal == nil, transaction.accepted > 0 {
                state = .content
                return .content
            }
            let answers = transaction.answers(trouble(.nonsense, ""))
            // Recipients taken after a refused MAIL: a dot would give them an empty message.
            guard transaction.accepted == 0 else { return give(answers) }
            // RFC 2920 section 3.1: DATA was pipelined and nobody is left to send to.
            transaction.outcome = answers
            state = .loneDot
            return .loneDot
        case 400...:
            return reset(transaction.answers(PhaseAnswer(phase: .data, answer: .reply(reply()))))
        default:
            return violated("\(code) to DATA")
        }
    }

    private mutating func receivedForDot(_ code: UInt16, more: Bool, _ reply: () -> Reply) -> ClientAction {
        guard !(300..<400).contains(code) else { return violated("\(code) to the final dot") }
        let answers = transaction.answers(PhaseAnswer(phase: .dot, answer: .reply(reply())))
        if code >= 400 {
            return reset(answers)
        }
        return more ? give(answers) : finish(answers)
    }

    /// Keeps the outcome until the host has confirmed that it starts afresh.
    private mutating func reset(_ outcome: [PhaseAnswer]) -> ClientAction {
        transaction.outcome = outcome
        state = .reset
        return .reset
    }

    /// Ends transaction and session.
    private mutating func give(_ answers: [PhaseAnswer]) -> ClientAction {
        state = .gone
        return .finished(answers, then: .close)
    }

    private func trouble(_ trouble: Answer.Trouble, _ text: String) -> PhaseAnswer {
        PhaseAnswer(phase: phase, answer: .trouble(trouble, text))
    }
}
