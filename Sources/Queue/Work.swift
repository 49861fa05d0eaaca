package import Mail

/// What is left to do for one message at one recipient domain: the unit that waits, is due, and is handed out.
package struct Work: Sendable {
    package let message: QueuedMessage
    package let domain: String
    /// Recipients in that domain that have not ended.
    package var recipients: [Address]
    package var progress: Progress

    package init(message: QueuedMessage, domain: String, recipients: [Address], progress: Progress) {
        self.message = message
        self.domain = domain
        self.recipients = recipients
        self.progress = progress
    }

    package var key: WorkKey { WorkKey(message: message.id, domain: domain) }
}

/// Names one ``Work``.
package struct WorkKey: Hashable, Sendable {
    package let message: MessageID
    package let domain: String

    package init(message: MessageID, domain: String) {
        self.message = message
        self.domain = domain
    }
}

/// What the planner remembers with a work across retries and restarts.
package struct Progress: Sendable, Hashable {
    /// Rounds of the schedule already used.
    package var rounds: Int
    /// When the next attempt may be made.
    package var due: Timestamp
    /// Names of the sources that a refusal was about, in order.
    package var tried: [String]
    /// The source that the next attempt must keep: an unclear refusal is first retried from the same one.
    package var pinned: String?
    /// Name of the route and index of the step that this work is at.
    package var route: String
    package var step: Int
    /// The first refusal of those that tell most; it is what a notice quotes.
    package var firstRefusal: Refusal?
    /// The latest refusal, in one line.
    package var lastRefusal: String?
    /// The receiver that was tried last, by the name of its first host, and the source it was tried from; nil before
    /// the first session.
    package var site: String?
    package var source: String?
    /// Transactions that ended with an answer about its recipients, in all.
    package var attempts: Int = 0
    /// Refusals of it that were about a source or its range, and that cost that source some rest.
    package var burned: Int = 0
    /// Since when every answer was of the cause `volume`; nil when the last one was not.
    package var volumeSince: Timestamp?
    /// A connection broke after its final dot: it may have arrived, so it keeps its source and goes through no relay.
    package var doubted = false
    /// How far it had come when the receiver last found fault with its content or sender, and has not read as far and
    /// said something else since: it moves to no further step.
    package var faultedAt: Phase?
    /// What the filter said of the message; routes may ask for it.
    package var verdict: String?
    /// Set while it is at the relay of its route.
    package var relay: AtRelay?

    /// What is remembered of a work at a relay.
    package struct AtRelay: Sendable, Hashable {
        /// The relay's name.
        package var name: String
        package var entered: Timestamp
        /// When it fails unless the relay has taken it; the message's own deadline stands beside it.
        package var until: Timestamp
        /// Why it was given to the relay.
        package var cause: Cause
        /// Transactions with it.
        package var attempts: Int
        /// What the relay had against it, the latest in one line.
        package var said: String?
        /// Its own latest words; nil where the latest was no reply.
        package var reply: Reply?

        package init(
            name: String, entered: Timestamp, until: Timestamp, cause: Cause, attempts: Int = 0, said: String? = nil,
            reply: Reply? = nil
        ) {
            self.reply = reply
            self.name = name
            self.entered = entered
            self.until = until
            self.cause = cause
            self.attempts = attempts
            self.said = said
        }
    }

    /// Of a message that nothing has been tried of.
    package init(due: Timestamp, of message: QueuedMessage) {
        self.init(due: due)
        verdict = message.verdict?.rawValue
    }

    package init(
        rounds: Int = 0, due: Timestamp, tried: [String] = [], pinned: String? = nil, route: String = "default",
        step: Int = 0, firstRefusal: Refusal? = nil, lastRefusal: String? = nil
    ) {
        self.rounds = rounds
        self.due = due
        self.tried = tried
        self.pinned = pinned
        self.route = route
        self.step = step
        self.firstRefusal = firstRefusal
        self.lastRefusal = lastRefusal
    }
}

/// What came of handing out one ``Work``.
package struct Settlement: Sendable {
    package var key: WorkKey
    package var ended: [Ended]
    /// What is left, with its next due time; nil when every recipient of the work has ended. With nothing ended and the
    /// progress unchanged the work is simply given back, due as it was.
    package var remaining: Work?
    /// The dispatcher goes on with what remains at once (from another source, or with further recipients): record it,
    /// but do not hand it out again. Otherwise the work is no longer outstanding after this.
    package var stillHandedOut: Bool
    /// The work comes back exactly as it was handed out or last settled: what is on record need not be written again.
    package var unchanged: Bool

    package init(
        key: WorkKey, ended: [Ended], remaining: Work?, stillHandedOut: Bool = false, unchanged: Bool = false
    ) {
        self.key = key
        self.ended = ended
        self.remaining = remaining
        self.stillHandedOut = stillHandedOut
        self.unchanged = unchanged
    }

    /// A recipient's end. Those that the sender is to be told of are kept, with their reason, until that is done.
    package struct Ended: Sendable, Hashable {
        package var recipient: Address
        package var how: RecipientEnd
        package var reason: String
        package var at: Timestamp
        /// What the sender is to read; nil where nothing can be quoted.
        package var quoted: Refusal?
        /// Delivered to a host that will not tell of it, though the sender asked to be told.
        package var isRelayed: Bool
        /// What was tried; for what fails at a relay.
        package var way: RecipientReport.Way?

        package init(
            recipient: Address, how: RecipientEnd, reason: String, at: Timestamp, quoted: Refusal? = nil,
            isRelayed: Bool = false, way: RecipientReport.Way? = nil
        ) {
            self.way = way
            self.recipient = recipient
            self.how = how
            self.reason = reason
            self.at = at
            self.quoted = quoted
            self.isRelayed = isRelayed
        }

        /// It went out and nobody asked to hear of it.
        package var isSilent: Bool { (how == .delivered || how == .relayed) && !isRelayed }

        /// What the sender is to be told of; nil for a plain delivery.
        package var report: RecipientReport? {
            let kind: RecipientReport.Kind
            switch how {
            case .delivered, .relayed:
                guard isRelayed else { return nil }
                kind = .relayed
            case .failed: kind = .failed
            case .expired: kind = .expired
            case .deleted: return nil
            }
            return RecipientReport(recipient: recipient, kind: kind, reason: reason, refusal: quoted, at: at, way: way)
        }
    }
}

/// Delivery's side of the queue. Called on the queue's own threads; must return quickly and must not block.
package protocol Dispatcher: AnyObject, Sendable {
    /// Works that were just committed, in order of arrival. What the dispatcher has no room for comes back in the
    /// result: the queue files it in the store as due now and hands it out again when asked.
    func arrived(_ works: [Work]) -> [Work]

    /// These domains have works that are due and not handed out. The dispatcher answers each, then or later, with
    /// ``MailQueue/fetch(domain:limit:)`` or ``MailQueue/postpone(domain:until:)``; unanswered ones are named again.
    ///
    /// - Parameter failing: those of them that were postponed before, which a restart does not forget.
    func due(domains: [String], failing: Set<String>)

    /// The answer to a fetch. `more`: the store holds further due works of this domain.
    func fetched(domain: String, works: [Work], more: Bool)

    /// The deadline of these has passed. Returns those that are on the wire right now and will be settled by their
    /// attempt; all others are dropped from memory by the dispatcher and ended by the queue.
    func expire(_ keys: [WorkKey]) -> [WorkKey]

    /// An operator wants these not to be sent. All that are not on the wire come back by
    /// ``MailQueue/settle(_:)`` at once; returns those that are, which come back after their attempt at the latest.
    func recall(_ keys: Set<WorkKey>) -> [WorkKey]

    /// An operator wants these domains tried now: what was found out about hosts that do not answer is forgotten.
    /// Limits of the configuration, and what an operator suspended, stay.
    func lift(domains: [String])

    /// Where a domain's mail goes; nil where that is not known at this moment.
    func site(of domain: String) -> SiteNote?
}

/// What Delivery knows of a receiver.
package struct SiteNote: Sendable, Hashable {
    /// As traces name it.
    package var name: String
    /// Nothing is sent there before then, and why.
    package var until: Timestamp?
    package var why: String?

    package init(name: String, until: Timestamp? = nil, why: String? = nil) {
        self.name = name
        self.until = until
        self.why = why
    }
}
