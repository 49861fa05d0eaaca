package import Mail

/// A message with its recipients, ready to be committed.
package struct Accepted: Sendable {
    package let message: QueuedMessage
    /// 1 or more, without repeats.
    package let recipients: [Address]
    package let trace: TraceEvent.Acceptance
    /// Kept from the start, until an operator lets it go.
    package let hold: Hold?

    package init(message: QueuedMessage, recipients: [Address], trace: TraceEvent.Acceptance, hold: Hold? = nil) {
        self.hold = hold
        self.message = message
        self.recipients = recipients
        self.trace = trace
    }
}

/// What came of a commit.
package enum CommitResult: Sendable {
    /// Content, envelope and owner are on stable storage: 250 may be said.
    case committed
    /// Nothing was kept: a 4xx must be said. The text is for the log.
    case refused(String)
}

/// Whether new mail may come in right now.
package enum Admission: Sendable, Hashable {
    case open
    /// More is being accepted than can be kept up with.
    case busy
    /// The disk is short of space.
    case diskShort
    /// The store has failed; nothing is accepted until it has recovered.
    case broken
    /// The relay is going down.
    case closing
}

/// Takes what was received into safe keeping; ``MailQueue`` is the one that does.
package protocol AcceptedMail: Sendable {
    /// Whether new mail may come in; cheap enough for every MAIL command.
    func admission() -> Admission

    /// Makes a message durable.
    ///
    /// - Parameter then: called exactly once, on a thread of the queue's own, when the message is on stable storage or
    ///   was refused. It must return quickly; an event loop hops to itself there.
    func commit(_ accepted: Accepted, then: @escaping @Sendable (CommitResult) -> Void)
}

extension MailQueue: AcceptedMail {}
