package import Mail

/// Which messages a person wants to see.
package struct QueueFilter: Sendable {
    /// A recipient domain.
    package var domain: String?
    package var customer: String?
    /// The sender's address, or only its domain; empty for the null sender.
    package var sender: String?
    /// Only messages with ids above it.
    package var after: MessageID?
    /// 1 to 1,000 messages a page.
    package var limit: Int

    package init(
        domain: String? = nil, customer: String? = nil, sender: String? = nil, after: MessageID? = nil, limit: Int = 100
    ) {
        self.domain = domain
        self.customer = customer
        self.sender = sender
        self.after = after
        self.limit = limit
    }

    package func admits(_ message: QueuedMessage) -> Bool {
        if let customer, message.customer != customer { return false }
        guard let sender else { return true }
        switch message.sender {
        case .null: return sender.isEmpty
        case .address(let address): return address.description == sender || address.domain == sender
        }
    }
}

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

        package init(domain: String, recipients: [Address], progress: Progress, state: State) {
            self.domain = domain
            self.recipients = recipients
            self.progress = progress
            self.state = state
        }
    }

    package enum State: String, Sendable {
        /// In its first attempt, or about to be.
        case fresh
        /// In the store until its due time.
        case waiting
        /// With Delivery.
        case handedOut = "handed out"
    }
}

package struct QueueCounts: Sendable, Hashable {
    /// Messages in the store, ended ones whose sender is still to be told included.
    package var messages: Int
    /// Works that were filed: (message, recipient domain).
    package var works: Int
    /// Recipient domains with filed works.
    package var domains: Int
    /// Recipients whose sender is still to be told.
    package var untold: Int

    package init(messages: Int, works: Int, domains: Int, untold: Int) {
        self.messages = messages
        self.works = works
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
                domain: domain, recipients: recipients, progress: Progress(due: stored.message.arrived), state: .fresh)
        }
    }
}
