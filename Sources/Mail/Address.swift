/// A mailbox as it stands in an envelope (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
package struct Address: Hashable, Sendable, CustomStringConvertible {
    /// As written, quotes included; UTF-8 only where SMTPUTF8 was asked for.
    package let localPart: String
    /// Lower-cased; an address literal keeps its brackets. May hold U-labels where SMTPUTF8 was asked for.
    package let domain: String

    package init(localPart: String, domain: String) {
        self.localPart = localPart
        self.domain = domain
    }

    package var description: String { "\(localPart)@\(domain)" }
}

/// The sender of an envelope: an address, or the null reverse-path `<>` of notices (RFC 5321 section 4.5.5).
package enum ReversePath: Hashable, Sendable, CustomStringConvertible {
    case null
    case address(Address)

    /// Without angle brackets; empty for the null path.
    package var description: String {
        switch self {
        case .null: ""
        case .address(let address): address.description
        }
    }
}
