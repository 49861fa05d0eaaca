package import Mail

/// One question to the DNS.
package struct Question: Hashable, Sendable {
    /// Lower-case, without the final dot.
    package let name: String
    package let type: RecordType

    package init(_ name: String, _ type: RecordType) {
        self.name = name
        self.type = type
    }
}

/// The record types that finding a mail host and checking our own names need, with their numbers on the wire.
package enum RecordType: UInt16, Sendable, Hashable {
    case a = 1
    case ptr = 12
    case mx = 15
    case txt = 16
    case aaaa = 28
}

/// What came of one question, aliases already followed.
package enum Lookup: Sendable, Hashable {
    /// At least one record of the type asked for.
    case records([Record], ttl: Int, secure: Bool)
    /// The name exists, without such records.
    case noData(ttl: Int, secure: Bool)
    /// NXDOMAIN, of the name or of what it is an alias of.
    case noName(ttl: Int, secure: Bool)
    /// SERVFAIL, no answer, a bogus or unreadable one; in a few words.
    case failed(String)

    package enum Record: Sendable, Hashable {
        /// The host as text without the final dot; empty for the root, which is how a null MX is written.
        case mx(preference: UInt16, host: String)
        case address(IPAddress)
        /// As in ``mx(preference:host:)``.
        case pointer(String)
        /// Its strings joined; octets beyond ASCII as U+0080 to U+00FF.
        case text(String)
    }

    /// More records than this are not read: no honest name has as many, and an answer of 64 KB holds thousands.
    static let recordLimit = 256
}
