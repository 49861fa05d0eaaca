package import Mail

/// One transaction as far as MAIL and RCPT have brought it.
package struct Envelope: Hashable, Sendable {
    package let sender: ReversePath
    /// In the order they came, without repeats.
    package private(set) var recipients: [Address] = []
    /// The client asked for SMTPUTF8.
    package let smtpUTF8: Bool
    /// An address has octets above 127.
    package private(set) var nonASCII: Bool
    /// What the client declared; nil when it did not.
    package let declaredSize: Int?
    /// What the client asked of notices.
    package private(set) var request: NoticeRequest
    /// Only filled when there are enough recipients for it to be faster than looking through them.
    private var known: Set<Address> = []

    package init(_ command: MailCommand) {
        sender = command.sender
        smtpUTF8 = command.smtpUTF8
        nonASCII = command.nonASCII
        declaredSize = command.size
        request = NoticeRequest(returned: command.returned, envelopeID: command.envelopeID)
    }

    package func contains(_ recipient: Address) -> Bool {
        known.isEmpty ? recipients.contains(recipient) : known.contains(recipient)
    }

    /// Adds one that is not there yet.
    package mutating func add(_ recipient: Address, nonASCII: Bool, _ wish: RecipientRequest? = nil) {
        recipients.append(recipient)
        if let wish { request.add(recipient, wish) }
        self.nonASCII = self.nonASCII || nonASCII
        if known.isEmpty {
            guard recipients.count > 8 else { return }
            known = Set(recipients)
        } else {
            known.insert(recipient)
        }
    }
}
