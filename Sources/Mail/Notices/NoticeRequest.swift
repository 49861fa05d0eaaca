/// What a sender asked of delivery status notifications (RFC 3461 section 4), for the message and for its recipients.
package struct NoticeRequest: Sendable, Hashable {
    /// RET: how much of the message a notice of failure brings back; nil leaves it to us.
    package var returned: Returned?
    /// ENVID, still in xtext.
    package var envelopeID: String?
    /// Recipients for which something was asked, in the order of RCPT.
    package private(set) var recipients: [Entry] = []
    /// Only filled when looking through them would take long.
    private var places: [Address: Int] = [:]

    package enum Returned: UInt8, Sendable, Hashable {
        case full = 1
        case headers = 2
    }

    package struct Entry: Sendable, Hashable {
        package let address: Address
        package let request: RecipientRequest

        package init(address: Address, request: RecipientRequest) {
            self.address = address
            self.request = request
        }
    }

    package init(returned: Returned? = nil, envelopeID: String? = nil) {
        self.returned = returned
        self.envelopeID = envelopeID
    }

    /// Nothing was asked.
    package var isEmpty: Bool { returned == nil && envelopeID == nil && recipients.isEmpty }

    /// Adds what was asked for a recipient that is not there yet.
    package mutating func add(_ address: Address, _ request: RecipientRequest) {
        recipients.append(Entry(address: address, request: request))
        if !places.isEmpty {
            places[address] = recipients.count - 1
        } else if recipients.count > 8 {
            for (place, entry) in recipients.enumerated() { places[entry.address] = place }
        }
    }

    package subscript(_ address: Address) -> RecipientRequest? {
        if !places.isEmpty { return places[address].map { recipients[$0].request } }
        return recipients.first { $0.address == address }?.request
    }
}

/// What was asked for one recipient.
package struct RecipientRequest: Sendable, Hashable {
    /// NOTIFY; nil when it was not given, which asks for failures and leaves delays to us.
    package var notify: Notify?
    /// ORCPT as it was written: address type, semicolon, address in xtext.
    package var original: String?

    package init(notify: Notify? = nil, original: String? = nil) {
        self.notify = notify
        self.original = original
    }

    /// The conditions of NOTIFY (RFC 3461 section 4.1); none of them is `NEVER`.
    package struct Notify: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        package static let success = Notify(rawValue: 1)
        package static let failure = Notify(rawValue: 2)
        package static let delay = Notify(rawValue: 4)
        package static let never: Notify = []
    }
}

extension NoticeRequest? {
    /// Whether the sender wants to hear of this about that recipient. Where nothing was said failures and delays are
    /// told (RFC 3461 section 4.1).
    package func wants(_ condition: RecipientRequest.Notify, for recipient: Address) -> Bool {
        guard let self, let notify = self[recipient]?.notify else { return condition != .success }
        return notify.contains(condition)
    }
}
