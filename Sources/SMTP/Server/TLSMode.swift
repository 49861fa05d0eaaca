/// When a listener speaks TLS.
package enum TLSMode: String, Sendable, Hashable, CaseIterable {
    /// Never.
    case none
    /// When the client says STARTTLS (RFC 3207).
    case starttls
    /// From the first octet (RFC 8314 section 3.3).
    case implicit
}
