package import Mail

/// Messages in order of id.
package struct QueuePage: Sendable {
    package var entries: [QueueEntry]
    /// Where the next page starts (``QueueFilter/after``), also when this one is short or empty; nil at the end.
    package var next: MessageID?

    package init(entries: [QueueEntry], next: MessageID?) {
        self.entries = entries
        self.next = next
    }
}

/// One message as `figaro queue list` and `show` tell it. The message's content is left out (an empty buffer).
package struct QueueEntry: Sendable {
    package var message: QueuedMessage
    package var works: [Part]
    /// What the sender is still to be told.
    package var untold: [RecipientReport]

    package init(message: QueuedMessage, works: [Part], untold: [RecipientReport]) {
        self.message = message
        self.works = works
        self.untold = untold
    }

    /// What waits for one recipient domain.
    package struct Part: Sendable {
        package var domain: String
        package var recipients: [Address]
        package var progress: Progress
        package var state: State
        /// It is held; one that is on the wire may be as well.
        package var hold: Hold?

        package init(
            domain: String, recipients: [Address], progress: Progress, state: State, hold: Hold? = nil
        ) {
            self.domain = domain
            self.recipients = recipients
            self.progress = progress
            self.state = state
            self.hold = hold
        }
    }

    package enum State: String, Sendable, Hashable, CaseIterable {
        /// In its first attempt, or about to be.
        case fresh
        /// In the store until its due time.
        case waiting
        /// In the store; its time has come.
        case due
        /// With Delivery.
        case handedOut = "in flight"
        /// In the store until an operator releases it.
        case held
    }
}

package struct QueueCounts: Sendable, Hashable {
    /// Messages in the store, ended ones whose sender is still to be told included.
    package var messages: Int
    /// Works that were filed: (message, recipient domain).
    package var works: Int
    /// Those of them that are held.
    package var held: Int
    /// Those of them that are neither held nor with Delivery, for their time or their turn.
    package var waiting: Int
    /// Recipient domains with filed works.
    package var domains: Int
    /// Recipients whose sender is still to be told.
    package var untold: Int
    /// Works at a relay.
    package var atRelays: Int

    package init(messages: Int, works: Int, held: Int = 0, domains: Int, untold: Int, atRelays: Int = 0) {
        self.atRelays = atRelays
        self.messages = messages
        self.works = works
        self.held = held
        self.waiting = works - held
        self.domains = domains
        self.untold = untold
    }
}

extension QueueEntry.Part {
    /// The works of a message that is not filed.
    package static func fresh(_ stored: StoredMessage) -> [QueueEntry.Part] {
        let accepted = Dictionary(grouping: stored.recipients, by: \.domain)
        return accepted.sorted { $0.key < $1.key }.map { domain, recipients in
            QueueEntry.Part(
                domain: domain, recipients: recipients,
                progress: Progress(due: stored.message.arrived, of: stored.message),
                state: .fresh)
        }
    }
}
