/// What a sender is to be told about one recipient.
package struct RecipientReport: Sendable, Hashable {
    package var recipient: Address
    package var kind: Kind
    /// In one line, for log and history.
    package var reason: String
    /// What is quoted; nil where there is nothing to quote.
    package var refusal: Refusal?
    package var at: Timestamp
    /// What was tried, where a relay was the last of it; nil elsewhere.
    package var way: Way?

    /// How far a recipient came.
    package struct Way: Sendable, Hashable {
        /// Addresses that the receiver refused.
        package var sources: Int
        /// Transactions with the receiver, and those that the relay was asked for.
        package var attempts: Int
        package var relay: String
        package var handed: Int
        /// What the relay said last, or what happened there, for log and history.
        package var said: String?
        /// Its own words, where it had some.
        package var reply: Reply?

        package init(
            sources: Int, attempts: Int, relay: String, handed: Int, said: String?, reply: Reply? = nil
        ) {
            self.reply = reply
            self.sources = sources
            self.attempts = attempts
            self.relay = relay
            self.handed = handed
            self.said = said
        }
    }

    package enum Kind: UInt8, Sendable, Hashable {
        /// Handed to a host that takes over no duty to notify, and the sender asked for notices of success.
        case relayed = 0
        /// Refused for good.
        case failed = 1
        /// Not delivered in time.
        case expired = 2
        /// Still being tried.
        case delayed = 3

        /// Which notice it belongs to.
        package var notice: NoticeKind {
            switch self {
            case .relayed: .success
            case .failed, .expired: .failure
            case .delayed: .delay
            }
        }
    }

    package init(
        recipient: Address, kind: Kind, reason: String, refusal: Refusal? = nil, at: Timestamp, way: Way? = nil
    ) {
        self.way = way
        self.recipient = recipient
        self.kind = kind
        self.reason = reason
        self.refusal = refusal
        self.at = at
    }
}

/// What a notice is about; each has its own text.
package enum NoticeKind: String, Sendable, Hashable, CaseIterable {
    case failure, delay, success

    /// What of NOTIFY asks for it.
    package var condition: RecipientRequest.Notify {
        switch self {
        case .failure: .failure
        case .delay: .delay
        case .success: .success
        }
    }
}

extension RecipientReport {
    /// The status for machines (RFC 3464 section 2.3.4): the receiver's own where it gave one that fits its code.
    package var status: EnhancedStatus {
        if kind == .relayed { return EnhancedStatus(2, 1, 9) }
        guard let refusal else { return kind == .failed ? EnhancedStatus(5, 0, 0) : EnhancedStatus(4, 4, 7) }
        if let status = refusal.status { return status }
        switch refusal.answer {
        case .reply(let reply):
            let family = UInt8(reply.code >= 500 ? 5 : 4)
            if let status = reply.enhanced, status.status == family { return status }
            let (subject, detail) = Self.meaning(of: refusal.cause)
            return EnhancedStatus(family, subject, detail)
        case .trouble(let trouble, _):
            return Self.status(of: trouble, in: refusal.phase, kind)
        }
    }

    /// RFC 3463 section 3.
    private static func meaning(of cause: Cause) -> (subject: UInt16, detail: UInt16) {
        switch cause {
        case .source, .range, .content: (7, 1)
        case .greylist, .auth, .tls: (7, 0)
        case .volume: (4, 5)
        case .host, .local, .uncertain: (3, 0)
        case .mailbox: (2, 0)
        case .recipient: (1, 1)
        case .domain: (1, 2)
        case .size: (3, 4)
        case .protocol: (5, 0)
        case .unknown: (0, 0)
        }
    }

    private static func status(of trouble: Answer.Trouble, in phase: Phase, _ kind: Kind) -> EnhancedStatus {
        switch trouble {
        case .tooLarge: EnhancedStatus(5, 3, 4)
        case .missingExtension: EnhancedStatus(5, 6, 7)
        case .missing8BitMIME: EnhancedStatus(5, 6, 3)
        case .forbidden: EnhancedStatus(5, 4, 4)
        case .returned: EnhancedStatus(5, 0, 0)
        // A deadline that passed is what ended it, whatever the trouble was.
        case _ where kind == .expired: EnhancedStatus(4, 4, 7)
        case .timeout, .connection:
            EnhancedStatus(kind == .failed ? 5 : 4, 4, phase == .resolve ? 3 : phase == .connect ? 1 : 2)
        case .nonsense: EnhancedStatus(kind == .failed ? 5 : 4, 5, 0)
        case .tls: EnhancedStatus(kind == .failed ? 5 : 4, 7, 0)
        case .local: EnhancedStatus(kind == .failed ? 5 : 4, 3, 0)
        }
    }
}
