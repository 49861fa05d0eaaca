/// One line in the life of a message, as `figaro trace` tells it.
///
/// Each is some 300 octets with a dozen texts in them and is handed on several times for every message, so it is kept
/// in one box, and handing it on costs one count.
package indirect enum TraceEvent: Sendable, Hashable {
    case accepted(Acceptance)
    case attempted(Attempt)
    case ended(End)
    case notified(Notification)
    case steered(Steered)

    /// The message was committed and answered with 250.
    package struct Acceptance: Sendable, Hashable {
        package var message: MessageID
        package var at: Timestamp
        package var customer: String
        package var client: IPAddress
        package var helo: String
        package var tls: String?
        package var sender: ReversePath
        package var recipients: [Address]
        package var size: Int
        /// What the filter said; nil where there is none.
        package var screening: Screening?
        /// How the customer was known: `login shop-web1`, `certificate 8F:43:…`; nil: by its address.
        package var known: String?

        package init(
            message: MessageID, at: Timestamp, customer: String, client: IPAddress, helo: String, tls: String?,
            sender: ReversePath, recipients: [Address], size: Int, screening: Screening? = nil, known: String? = nil
        ) {
            self.known = known
            self.screening = screening
            self.message = message
            self.at = at
            self.customer = customer
            self.client = client
            self.helo = helo
            self.tls = tls
            self.sender = sender
            self.recipients = recipients
            self.size = size
        }
    }

    /// One try to hand recipients of one message to one host from one source, and what followed from it.
    package struct Attempt: Sendable, Hashable {
        package var id: UInt64
        package var message: MessageID
        package var at: Timestamp
        package var site: String
        /// Name and address of the source; nil where it never came to choosing one (resolving failed).
        package var source: String?
        package var sourceAddress: IPAddress?
        package var host: String?
        package var hostAddress: IPAddress?
        package var tls: String?
        package var recipients: [Address]
        package var phase: Phase
        /// The receiver's words; nil where there were none (a timeout, a broken connection).
        package var reply: Reply?
        /// What happened where there is no reply: `connection timed out`.
        package var trouble: String?
        /// nil when the recipients were accepted.
        package var cause: Cause?
        /// The id of the rule that read the reply.
        package var rule: String?
        /// What is done next, and why: `another source`, `later`, `delivered`, `failed`.
        package var decision: String
        package var why: String
        package var next: Timestamp?

        package init(
            id: UInt64, message: MessageID, at: Timestamp, site: String, source: String? = nil,
            sourceAddress: IPAddress? = nil, host: String? = nil, hostAddress: IPAddress? = nil, tls: String? = nil,
            recipients: [Address], phase: Phase, reply: Reply? = nil, trouble: String? = nil, cause: Cause? = nil,
            rule: String? = nil, decision: String, why: String, next: Timestamp? = nil
        ) {
            self.id = id
            self.message = message
            self.at = at
            self.site = site
            self.source = source
            self.sourceAddress = sourceAddress
            self.host = host
            self.hostAddress = hostAddress
            self.tls = tls
            self.recipients = recipients
            self.phase = phase
            self.reply = reply
            self.trouble = trouble
            self.cause = cause
            self.rule = rule
            self.decision = decision
            self.why = why
            self.next = next
        }
    }

    /// Recipients reached one of their ends.
    package struct End: Sendable, Hashable {
        package var message: MessageID
        package var at: Timestamp
        package var recipients: [Address]
        package var how: RecipientEnd
        package var reason: String

        package init(message: MessageID, at: Timestamp, recipients: [Address], how: RecipientEnd, reason: String) {
            self.message = message
            self.at = at
            self.recipients = recipients
            self.how = how
            self.reason = reason
        }
    }

    /// A sender was told of recipients, or is not told, with the reason. Recorded with the message that it is about
    /// and with the notice.
    package struct Notification: Sendable, Hashable {
        package var message: MessageID
        package var at: Timestamp
        package var about: MessageID
        /// nil: nobody is told.
        package var notice: MessageID?
        package var kind: NoticeKind
        package var to: Address?
        package var recipients: [Address]
        package var why: String

        package init(
            message: MessageID, at: Timestamp, about: MessageID, notice: MessageID?, kind: NoticeKind, to: Address?,
            recipients: [Address], why: String
        ) {
            self.message = message
            self.at = at
            self.about = about
            self.notice = notice
            self.kind = kind
            self.to = to
            self.recipients = recipients
            self.why = why
        }
    }

    /// An operator changed when, or whether, recipients of one domain are tried.
    package struct Steered: Sendable, Hashable {
        package var message: MessageID
        package var at: Timestamp
        package var how: How
        package var domain: String
        /// Who asked for it: `root (uid 0)`.
        package var by: String
        /// In their words; empty where they gave none.
        package var reason: String

        package enum How: UInt8, Sendable, Hashable {
            /// Not delivered until it is let go.
            case held = 0
            /// Let go, due at once.
            case released = 1
            /// Due at once instead of later.
            case retried = 2
        }

        package init(message: MessageID, at: Timestamp, how: How, domain: String, by: String, reason: String) {
            self.message = message
            self.at = at
            self.how = how
            self.domain = domain
            self.by = by
            self.reason = reason
        }
    }

    package var message: MessageID {
        switch self {
        case .accepted(let event): event.message
        case .attempted(let event): event.message
        case .ended(let event): event.message
        case .notified(let event): event.message
        case .steered(let event): event.message
        }
    }
}

/// How an accepted recipient ended; each ends exactly once.
package enum RecipientEnd: UInt8, Sendable, Hashable {
    case delivered, failed, expired
    /// An operator ended it, and nobody is told.
    case deleted
    /// Handed to another relay, which answers for it from there on.
    case relayed
}

/// Takes events for the history. Must not block: it is called on event loops and on the commit thread.
package protocol TraceSink: Sendable {
    func record(_ events: [TraceEvent])
}
