/// What a refusal is evidence about. The cause, not the code, decides the next step.
package enum Cause: String, Sendable, Hashable, CaseIterable {
    /// Our address is listed, has a poor reputation or no proper PTR.
    case source
    /// The network around our address is.
    case range
    /// First contact: come again from the same address.
    case greylist
    /// Too many connections or too much mail.
    case volume
    /// The receiver's own trouble: refused, timed out, shutting down, SERVFAIL.
    case host
    /// Over quota or disabled for a while.
    case mailbox
    /// No such user.
    case recipient
    /// No such domain, null MX, or a host that takes no mail for it.
    case domain
    /// Spam, virus, URL, attachment or policy about the message.
    case content
    /// SPF, DKIM, DMARC or the sender's domain.
    case auth
    /// Too large.
    case size
    /// A needed extension is missing, or a bad sequence.
    case `protocol`
    /// A TLS policy is not met.
    case tls
    /// The connection broke after the final dot: nobody knows.
    case uncertain
    /// Our own trouble: cannot bind, out of sockets, disk.
    case local
    /// No rule read it.
    case unknown
}
