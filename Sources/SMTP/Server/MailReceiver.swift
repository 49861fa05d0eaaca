package import Mail
package import NIOCore

/// What a session hands its mail to; used on the session's event loop only.
package protocol MailReceiver: AnyObject {
    /// Why no mail may come in right now; nil when it may. Asked at every MAIL and DATA, and at the first BDAT.
    func admission() -> ServerReply?

    /// Why mail of this sender may not come in; nil when it may. Asked at every MAIL that is admitted.
    func refusal(of sender: ReversePath) -> ServerReply?

    /// Why this recipient may not be taken; nil when it may, and then it counts. Asked at every RCPT that would be
    /// taken otherwise.
    func refusal(ofRecipient recipient: ForwardPath) -> ServerReply?

    /// The client is to be asked for a certificate, since customers are known by theirs.
    var wantsCertificate: Bool { get }

    /// The client has shown a certificate.
    ///
    /// - Returns: what the session may do from now on.
    func shown(_ certificate: ClientCertificate) -> ServerMachine.Policy

    /// Whether the client is who it says. `answer` is called once, on the event loop, now or later; the session may be
    /// gone by then.
    func verify(_ login: Login, answer: @escaping (ServerMachine.LoginVerdict) -> Void)

    /// The client is a load balancer and speaks for another one from now on.
    ///
    /// - Returns: what that one's session may do, or why there is none.
    func named(_ client: NamedClient) -> ServerMachine.LoginVerdict

    /// Content begins. What is to stand before the client's own octets is written to `content`.
    ///
    /// - Parameter drained: to be called when a saturated sink can take more.
    func begin(
        _ envelope: Envelope, _ facts: ServerSessionFacts, content: inout ByteBuffer, drained: @escaping () -> Void
    ) -> any MessageSink

    /// The session was refused something or broke a rule, for a log that is kept short.
    func refused(_ reply: ServerReply)

    /// The session is over and its channel closed. Called once, and last.
    func ended(_ channel: any Channel)
}

/// Takes the content of one message; used on the session's event loop only.
package protocol MessageSink: AnyObject {
    /// More octets were appended to `content`; the sink may take them away.
    ///
    /// - Returns: why the message cannot be taken; the sink has then forgotten it and hears no more of it.
    func received(_ content: inout ByteBuffer) -> ServerReply?

    /// The client should not be read from for now.
    var isSaturated: Bool { get }

    /// The final dot has come. `answer` is called once, on the event loop, when the message is safe or refused; the
    /// session may be gone by then.
    func end(
        _ content: inout ByteBuffer, eightBit: Bool, answer: @escaping (ServerMachine.Verdict) -> Void)

    /// The message will not be finished.
    func abandon()
}

/// What a session knows of its client when content begins.
package struct ServerSessionFacts: Sendable {
    /// What the client called itself.
    package let hello: String
    /// It said EHLO.
    package let extended: Bool
    /// TLS version; nil in the clear.
    package let tls: String?
    /// It has proved who it is.
    package let loggedIn: Bool

    package init(hello: String, extended: Bool, tls: String?, loggedIn: Bool = false) {
        self.loggedIn = loggedIn
        self.hello = hello
        self.extended = extended
        self.tls = tls
    }
}
