package import Mail

/// Which messages, and which of their works, a person means. Every part that is set must fit.
package struct QueueFilter: Sendable {
    /// These messages; empty: any.
    package var ids: Set<MessageID> = []
    /// A recipient domain.
    package var domain: String?
    package var customer: String?
    /// The sender's address, or only its domain; empty for the null sender.
    package var sender: String?
    /// A recipient's address.
    package var recipient: String?
    /// The receiver that was tried last or, before the first session, that the domain's mail goes to.
    package var site: String?
    /// It waits for one of these relays.
    package var relays: Set<String>?
    /// The source that was tried last is one of these.
    package var sources: Set<String>?
    /// Accepted before, and accepted at or after.
    package var before: Timestamp?
    package var since: Timestamp?
    package var states: Set<QueueEntry.State>?
    /// Stands in the last refusal, whatever the case of its letters.
    package var reply: String?
    /// How the reason of its hold begins.
    package var heldBecause: String?
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

    /// Nothing is left out.
    package var admitsAll: Bool {
        ids.isEmpty && domain == nil && customer == nil && sender == nil && recipient == nil && site == nil
            && relays == nil && sources == nil && before == nil && since == nil && states == nil && reply == nil
            && heldBecause == nil
    }

    /// What can be told by a row without reading the packed parts of it.
    package func mayAdmit(_ id: MessageID, domain: String, customer: String) -> Bool {
        if let known = self.domain, known != domain { return false }
        if let known = self.customer, known != customer { return false }
        return admits(id)
    }

    private func admits(_ id: MessageID) -> Bool {
        if !ids.isEmpty, !ids.contains(id) { return false }
        if let before, id.accepted >= before { return false }
        if let since, id.accepted < since { return false }
        return true
    }

    /// What can be told by the message, as it was accepted.
    package func admits(_ stored: StoredMessage) -> Bool {
        guard admits(stored.message.id), admits(stored.message.sender) else { return false }
        if let customer, stored.message.customer != customer { return false }
        if let domain, !stored.recipients.contains(where: { $0.domain == domain }) { return false }
        if recipient != nil, !stored.recipients.contains(where: { admits($0) }) { return false }
        return true
    }

    package func admits(_ path: ReversePath) -> Bool {
        guard let sender else { return true }
        switch path {
        case .null: return sender.isEmpty
        case .address(let address): return address.description == sender || address.domain == sender
        }
    }

    package func admits(_ address: Address) -> Bool { recipient.map { address.description == $0 } ?? true }

    /// What can be told by what waits for one domain, its state known.
    ///
    /// - Parameter site: of a domain that was never tried.
    package func admits(_ part: QueueEntry.Part, site known: (String) -> String?) -> Bool {
        if let domain, part.domain != domain { return false }
        if let states, !states.contains(part.state) { return false }
        if let relays, !(part.progress.relay.map { relays.contains($0.name) } ?? false) { return false }
        if let sources, !(part.progress.source.map { sources.contains($0) } ?? false) { return false }
        if let reply, !(part.progress.lastRefusal?.lowercased().contains(reply.lowercased()) ?? false) { return false }
        if let heldBecause, !(part.hold?.reason.hasPrefix(heldBecause) ?? false) { return false }
        if let site, (part.progress.site ?? known(part.domain)) != site { return false }
        return recipient == nil || part.recipients.contains { admits($0) }
    }

    /// Only ``admits(_:site:)`` can tell.
    var looksAtParts: Bool {
        states != nil || sources != nil || reply != nil || site != nil || heldBecause != nil || relays != nil
    }
}
