package import Mail
package import NIOCore

/// One message for some recipients of one host.
package struct ClientEnvelope: Sendable {
    package let sender: ReversePath
    /// In the order of RCPT; 1 or more.
    package let recipients: [Address]
    /// Octets of content, without dot-stuffing; streamed content must have exactly that many.
    package let size: Int
    /// Content has octets above 127.
    package let eightBit: Bool
    /// A header needs SMTPUTF8; addresses are looked at here.
    package let utf8: Bool
    /// What the sender asked of notices; passed on where the host offers DSN.
    package let request: NoticeRequest?
    package let content: ClientContent
    /// 8-bit content goes to a host that does not offer 8BITMIME, too.
    package var eightBitAsIs = false
    /// The form of a domain for a host without SMTPUTF8 (RFC 5890 section 2.3.2.1); nil where it has none.
    package var aLabels: @Sendable (String) -> String? = { _ in nil }

    package init(
        sender: ReversePath, recipients: [Address], size: Int, eightBit: Bool, utf8: Bool,
        request: NoticeRequest? = nil, content: ClientContent
    ) {
        self.sender = sender
        self.recipients = recipients
        self.size = size
        self.eightBit = eightBit
        self.utf8 = utf8
        self.request = request
        self.content = content
    }
}

/// Header and body with CRLF line ends, not dot-stuffed.
package enum ClientContent: Sendable {
    case inline(ByteBuffer)
    /// Opened on the connection's loop when the host wants it.
    case stream(open: @Sendable (any EventLoop) -> EventLoopFuture<any ClientContentReader>)
}

/// Streamed content, front to back. Used from the connection's loop, one read at a time.
package protocol ClientContentReader: AnyObject, Sendable {
    /// The next octets, at most `limit`; nil at the end. Answers on the connection's loop.
    func next(_ limit: Int) -> EventLoopFuture<ByteBuffer?>
    func close()
}

/// Who learns what became of the connection; called on its loop, and never from within `send` or `close`.
package protocol ClientDelegate: AnyObject {
    /// The first transaction may be sent. `tls`: the protocol version, nil in the clear.
    func clientOpened(tls: String?, features: HostFeatures)
    /// It never came to that; the connection is gone.
    func clientFailed(_ answer: PhaseAnswer)
    /// One answer for each recipient, in order. When the connection is not reusable it is gone, or about to say QUIT.
    func clientFinished(_ answers: [PhaseAnswer], reusable: Bool)
    /// The connection went away while idle, or after `close`.
    func clientClosed()
}
