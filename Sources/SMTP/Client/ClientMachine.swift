import Mail

/// The client's side of one SMTP connection, without I/O: each method is an event and returns what to do.
///
/// banner → EHLO (HELO for hosts that do not know it) → STARTTLS where wanted, EHLO again → transactions, one at a
/// time, with RSET after those that were refused → QUIT. 421 ends the session wherever it comes (RFC 5321 section 3.8).
struct ClientMachine: ~Copyable {
    /// What is asked of TLS.
    enum Secrecy {
        case never, ifOffered, always
        /// As `always`, but TLS comes before the banner (RFC 8314 section 3.3).
        case fromTheStart

        var isVerified: Bool { self == .always || self == .fromTheStart }
    }

    /// What an envelope asks of a host.
    struct Needs: Equatable {
        var recipients: Int
        var size: Int
        /// SMTPUTF8: for a header, or for an address that has no other form.
        var utf8: Bool
        /// A domain has U-labels; its A-labels do where SMTPUTF8 is not offered.
        var idn = false
        /// 8BITMIME.
        var eightBit = false
        /// An address holds control characters: it could smuggle commands.
        var unsafe = false
    }

    /// What a deadline is for.
    enum Wait: Equatable {
        case banner, ehlo, mail, rcpt, data, block, dot, parting
    }

    enum State: Equatable {
        case connecting, banner, ehlo, helo, startTLS, handshake
        case auth(AuthStep)
        case idle
        /// The reply to this is awaited; in a pipelined transaction the rest has been written already.
        case mail, rcpt(Int), data
        /// Content is being written; the final dot is not out.
        case content
        /// Every octet is out, the final dot too: whoever goes away now leaves doubt.
        case dot
        /// The reply to an empty message to nobody is awaited.
        case loneDot
        case reset
        /// QUIT was said; `report` is whether the delegate still waits for word.
        case quitting(report: Bool)
        case gone
    }

    /// What is being said of who we are (RFC 4954).
    enum AuthStep: Equatable {
        /// Name and password in one (RFC 4616).
        case plain
        /// The name of the mechanism, then the name, then the password.
        case login, loginName, loginPassword
    }

    let secrecy: Secrecy
    /// The host is told who we are before the first transaction.
    let hasLogin: Bool
    var state = State.connecting
    var features = HostFeatures()
    /// TLS version, once there is one.
    var tls: String?
    var transaction = TransactionProgress()
    private var closing = false

    init(secrecy: Secrecy, hasLogin: Bool = false) {
        self.secrecy = secrecy
        self.hasLogin = hasLogin
    }

    /// Nil while nothing is awaited.
    var waiting: Wait? {
        switch state {
        case .connecting, .idle, .gone: nil
        case .banner: .banner
        case .ehlo, .helo, .startTLS, .handshake, .auth: .ehlo
        case .mail: .mail
        case .rcpt: .rcpt
        case .data: .data
        case .content: .block
        case .dot, .loneDot: .dot
        case .reset, .quitting: .parting
        }
    }

    mutating func connected() -> ClientAction {
        guard case .connecting = state else { return .wait }
        if secrecy == .fromTheStart {
            state = .handshake
            return .handshake
        }
        state = .banner
        return .wait
    }

    /// A whole reply came.
    ///
    /// - Parameters:
    ///   - more: further octets came with it, which is nonsense where no command was sent that they could answer.
    ///   - reply: makes the reply in words; called only when they are needed.
    mutating func received(_ code: UInt16, more: Bool = false, _ reply: () -> Reply) -> ClientAction {
        switch state {
        case .banner: return receivedBanner(code, reply)
        case .ehlo, .helo: return receivedHello(code, more: more, reply)
        case .startTLS: return receivedStartTLS(code, more: more, reply)
        case .auth(let step): return receivedAuth(step, code, more: more, reply)
        case .connecting, .handshake: return violated("a reply where none was asked for")
        case .mail, .rcpt, .data, .content, .dot, .loneDot, .reset:
            return receivedInTransaction(code, more: more, reply)
        case .idle:
            state = .gone
            return .closed
        case .quitting(let report):
            state = .gone
            return report ? .closed : .drop
        case .gone: return .wait
        }
    }

    /// What came is not SMTP.
    mutating func violated(_ text: String) -> ClientAction { broke(.nonsense, text) }

    /// The connection is gone.
    mutating func lost(_ text: String) -> ClientAction {
        broke(isNegotiatingTLS ? .tls : .connection, text)
    }

    /// What was awaited did not come in time.
    mutating func timedOut() -> ClientAction {
        broke(isNegotiatingTLS ? .tls : .timeout, state == .content ? "content not taken in time" : "no answer in time")
    }

    /// A host that goes away or falls silent here may well take mail in the clear.
    private var isNegotiatingTLS: Bool { state == .startTLS || state == .handshake }

    /// The session is not needed any more. During a transaction it ends after it.
    mutating func close() -> ClientAction {
        closing = true
        switch state {
        case .idle:
            state = .quitting(report: true)
            return .quit
        case .connecting, .banner, .ehlo, .helo, .startTLS, .handshake, .auth:
            return fail(.trouble(.local, "closed by ourselves"), quit: false)
        case .mail, .rcpt, .data, .content, .dot, .loneDot, .reset, .quitting, .gone:
            return .wait
        }
    }

    /// Ends a transaction whose session can take another.
    mutating func finish(_ answers: [PhaseAnswer]) -> ClientAction {
        state = closing ? .quitting(report: false) : .idle
        return .finished(answers, then: closing ? .quit : .stay)
    }

    /// Ends a session and whatever it was doing.
    mutating func broke(_ trouble: Answer.Trouble, _ text: String) -> ClientAction {
        switch state {
        case .connecting, .banner, .ehlo, .helo, .startTLS, .handshake, .auth:
            return fail(.trouble(trouble, text), quit: false)
        case .idle, .quitting(report: true):
            state = .gone
            return .closed
        case .mail, .rcpt, .data, .content, .dot, .loneDot, .reset:
            return breakOff(.trouble(trouble, text))
        case .quitting(report: false):
            state = .gone
            return .drop
        case .gone:
            return .wait
        }
    }

    /// The phase that an answer of now belongs to.
    var phase: Phase {
        switch state {
        case .connecting: .connect
        case .banner: .banner
        case .ehlo, .helo: .ehlo
        case .startTLS, .handshake: .starttls
        case .auth: .auth
        case .rcpt: .rcpt
        // Before the final dot is out nothing can have been delivered.
        case .data, .content: .data
        case .dot, .loneDot, .reset: .dot
        case .idle, .mail, .quitting, .gone: .mail
        }
    }
}
