package import Mail
import NIOCore

/// A customer whose mail the relay holds by its own decision.
package struct HeldCustomer: Sendable, Hashable {
    package var name: String
    package var since: Timestamp
    package var why: String
    /// How many sources each receiver refused because of it.
    package var receivers: [String: Int]
    /// Told as well; nil where nobody is known.
    package var administrator: Address?

    package init(
        name: String, since: Timestamp, why: String, receivers: [String: Int], administrator: Address? = nil
    ) {
        self.administrator = administrator
        self.name = name
        self.since = since
        self.why = why
        self.receivers = receivers
    }
}

extension MailQueue {
    /// Whose the mail to our postmaster is: the held customer's own mail stands still.
    private static let postmaster = "postmaster"

    /// The id of the next notice; nil where no postmaster is to be told.
    package func nextHoldNotice() -> MessageID? {
        guard let settings = noticeSettings, settings.postmaster != nil, settings.texts.held != nil else { return nil }
        return settings.ids.next()
    }

    /// Commits the postmaster's notice of a held customer.
    ///
    /// Takes some milliseconds where notices are signed.
    ///
    /// - Parameter then: as for ``commit(_:then:)``.
    package func tell(
        _ held: HeldCustomer, as id: MessageID, then: @escaping @Sendable (CommitResult) -> Void
    ) {
        guard let settings = noticeSettings, let to = settings.postmaster else {
            return then(.refused("no postmaster is configured"))
        }
        let now = parts.time.now()
        let notice = HoldNotice(
            id: id, date: now, hostname: settings.hostname, to: to, customer: held.name, since: held.since,
            why: held.why, receivers: held.receivers, texts: settings.texts)
        guard let written = notice.content() else { return then(.refused("there is no text for it")) }
        let content = settings.signer?.signed(written, at: now) ?? written
        let recipients = [to] + [held.administrator].compactMap(\.self).filter { $0 != to }
        let message = QueuedMessage(
            id: id, customer: Self.postmaster, sender: .null, eightBit: false,
            utf8: !recipients.allSatisfy { $0.description.utf8.allSatisfy { $0 < 128 } }, size: content.readableBytes,
            arrived: now,
            expires: now + settings.lifetime, content: .inline(content))
        commit(
            Accepted(
                message: message, recipients: recipients,
                trace: TraceEvent.Acceptance(
                    message: id, at: now, customer: Self.postmaster, client: IPAddress(high: 0, low: 0),
                    helo: settings.hostname, tls: nil, sender: .null, recipients: recipients, size: message.size)),
            then: then)
    }
}
