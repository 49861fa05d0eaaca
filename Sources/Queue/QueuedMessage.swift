package import Mail
package import NIOCore

/// What was accepted, once and for all: it never changes after its commit.
package final class QueuedMessage: Sendable {
    package let id: MessageID
    /// The customer's name in the configuration.
    package let customer: String
    package let sender: ReversePath
    /// Content has octets above 127 (RFC 6152); computed from the content, not from what the client declared.
    package let eightBit: Bool
    /// An envelope address or a header needs SMTPUTF8 (RFC 6531).
    package let utf8: Bool
    /// Octets of content as they will be sent, without dot-stuffing.
    package let size: Int
    package let arrived: Timestamp
    /// When what is still undelivered fails.
    package let expires: Timestamp
    /// What the sender asked of notices; nil when nothing.
    package let request: NoticeRequest?
    /// What the filter said of it; nil where it was not asked. Routes may ask for it.
    package let verdict: Screening.Verdict?
    /// Its score; nil where there is none. A relay may ask for it.
    package let score: Double?
    package let content: Content

    package init(
        id: MessageID, customer: String, sender: ReversePath, eightBit: Bool, utf8: Bool, size: Int,
        arrived: Timestamp, expires: Timestamp, request: NoticeRequest? = nil, verdict: Screening.Verdict? = nil,
        score: Double? = nil, content: Content
    ) {
        self.id = id
        self.customer = customer
        self.sender = sender
        self.eightBit = eightBit
        self.utf8 = utf8
        self.size = size
        self.arrived = arrived
        self.expires = expires
        self.request = request
        self.verdict = verdict
        self.score = score
        self.content = content
    }
}

/// Header and body with CRLF line ends, not dot-stuffed, our own header fields included.
package enum Content: Sendable {
    /// Up to 64 KiB, stored with its row.
    case inline(ByteBuffer)
    /// A file of this name in the spool's content folder.
    case file(name: String)
}
