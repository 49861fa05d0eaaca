import Mail

/// What an answer means where no rule of the file reads it: by what happened, by the phase where that says enough, by
/// its words, by enhanced status, by code.
enum BaseReading {
    static func read(_ trouble: Answer.Trouble, in phase: Phase) -> Reading {
        switch trouble {
        case .timeout:
            Reading(cause: phase == .dot ? .uncertain : .host, rule: "base:timeout")
        case .connection:
            Reading(cause: phase == .dot ? .uncertain : .host, rule: "base:connection")
        case .nonsense: Reading(cause: phase == .dot ? .uncertain : .protocol, rule: "base:nonsense")
        case .tls: Reading(cause: .tls, rule: "base:tls")
        case .local: Reading(cause: .local, rule: "base:local")
        case .forbidden: Reading(cause: .domain, rule: "base:forbidden")
        case .missingExtension: Reading(cause: .protocol, rule: "base:missing-extension")
        case .missing8BitMIME: Reading(cause: .protocol, rule: "base:missing-8bitmime")
        case .tooLarge: Reading(cause: .size, rule: "base:too-large")
        case .returned: Reading(cause: .unknown, rule: "base:returned")
        }
    }

    /// - Parameter words: what ``WordWeights`` make of it.
    static func read(_ reply: Reply, in phase: Phase, _ words: Cause? = nil) -> Reading {
        guard reply.code >= 400 else { return Reading(cause: .protocol, rule: "base:unexpected") }
        if let words, !saysEnough(phase, reply.code) { return Reading(cause: words, rule: "base:words") }
        if let status = reply.enhanced, let cause = cause(of: status) {
            return Reading(cause: cause, rule: "base:x.\(status.subject).\(status.detail)")
        }
        if let cause = cause(of: reply.code, in: phase) {
            return Reading(cause: cause, rule: "base:\(phase)-\(reply.code)")
        }
        return Reading(cause: .unknown, rule: "base:unknown")
    }

    /// By the registry of enhanced status codes (RFC 5248 section 2). Those that receivers use for anything, such as
    /// x.7.1, x.7.0, x.2.0 and x.0.0, say nothing by themselves.
    private static func cause(of status: EnhancedStatus) -> Cause? {
        switch (status.subject, status.detail) {
        case (1, 1), (1, 3), (1, 4), (1, 6), (2, 4): .recipient
        case (1, 2), (1, 10): .domain
        case (1, 7), (1, 8): .auth
        case (2, 1): status.status == 5 ? .recipient : .mailbox
        case (2, 2): .mailbox
        case (2, 3), (3, 4): .size
        case (3, 1), (3, 2): .host
        case (4, 4) where status.status == 5: .domain
        case (4, _) where status.status == 4: .host
        case (5, 3): .volume
        case (5, 1), (5, 2), (5, 4), (5, 5), (3, 3), (7, 4): .protocol
        case (6, 7), (6, 8), (6, 9), (6, 10): .protocol
        case (6, _), (7, 7): .content
        case (7, 10), (7, 30): .tls
        case (7, 20...24), (7, 26), (7, 27), (7, 29): .auth
        case (7, 25): .source
        case (7, 28): .volume
        default: nil
        }
    }

    /// Nothing was said yet but who we are, so a final no is about that, whatever its words are.
    private static func saysEnough(_ phase: Phase, _ code: UInt16) -> Bool {
        switch (phase, code) {
        case (.connect, 500...), (.banner, 500...), (.ehlo, 550...), (.starttls, _): true
        default: false
        }
    }

    /// By RFC 5321 section 4.3.2, where no word and no status helps.
    private static func cause(of code: UInt16, in phase: Phase) -> Cause? {
        switch (phase, code) {
        // Nothing was said yet but who we are, so a final no is about that.
        case (.connect, 500...), (.banner, 500...), (.ehlo, 550...): .source
        case (.connect, _), (.banner, _), (_, 421): .host
        case (.starttls, _): .tls
        case (_, 500...504), (_, 555): .protocol
        // The host wants us to log in: it takes no mail from the outside for this domain.
        case (_, 530), (.rcpt, 521), (.mail, 521), (_, 556): .domain
        case (.rcpt, 452): .volume
        case (.rcpt, 551), (.rcpt, 553): .recipient
        case (.rcpt, 552): .mailbox
        case (.mail, 552), (.data, 552), (.dot, 552): .size
        case (_, 452): .host
        default: nil
        }
    }
}
