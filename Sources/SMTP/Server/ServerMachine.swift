package import Mail

/// The server's side of one SMTP session: events go in, what to do comes out. It does no I/O and reads no clock.
package struct ServerMachine: Sendable {
    /// What this session may do.
    package struct Policy: Sendable {
        /// The client is a customer; everyone else may only write to our postmaster.
        package var mayRelay: Bool
        /// What everyone else is told.
        package var denial: ServerReply
        /// There are accounts that log in.
        package var offersLogin: Bool
        /// Whose certificate the client has shown; nil where it is nobody's.
        package var certified: String?
        /// The client is a load balancer, and may say for whom it speaks.
        package var mayName: Bool
        /// Who gets mail for `<postmaster>`.
        package var postmaster: Address?
        package var recipients: Int
        package var errors: Int
        /// Octets.
        package var messageSize: Int

        package init(
            mayRelay: Bool, postmaster: Address?, recipients: Int, errors: Int, messageSize: Int,
            offersLogin: Bool = false, certified: String? = nil, mayName: Bool = false,
            denial: ServerReply = .relayDenied
        ) {
            self.mayName = mayName
            self.mayRelay = mayRelay
            self.certified = certified
            self.denial = denial
            self.offersLogin = offersLogin
            self.postmaster = postmaster
            self.recipients = recipients
            self.errors = errors
            self.messageSize = messageSize
        }
    }

    package enum Phase: Hashable, Sendable {
        /// Nothing has been said; with TLS from the start, its handshake is not over.
        case opening
        case commands
        /// Between a challenge of ours and the client's response.
        case credentials
        /// Between a login and our answer to it.
        case verifying
        /// Between 354 and the final dot.
        case content
        /// Between BDAT and the last octet of its chunk.
        case chunk
        /// Between the final dot, or the last chunk, and our answer to it.
        case committing
        /// Between our 220 to STARTTLS and the end of the handshake.
        case handshake
        case closed
    }

    /// What EHLO names that not every session has.
    struct Offers: OptionSet {
        let rawValue: UInt8

        static let startTLS = Offers(rawValue: 1)
        /// AUTH with a password.
        static let login = Offers(rawValue: 2)
        /// AUTH EXTERNAL.
        static let external = Offers(rawValue: 4)
        /// XCLIENT.
        static let naming = Offers(rawValue: 8)
        static let all: Offers = [.startTLS, .login, .external, .naming]
    }

    package enum Action: Hashable, Sendable {
        case nothing
        case greet
        /// The list of extensions after EHLO, our name alone after HELO.
        case hello(extended: Bool)
        case reply(ServerReply)
        /// Reply, then begin the handshake; what else has come in the clear is not looked at.
        case upgrade(ServerReply)
        /// Reply 354 and take content for this envelope.
        case receive(Envelope)
        /// Take a chunk of so many octets, 0 or more; with `begins` it is the first of a message.
        case chunk(octets: Int, begins: Envelope?)
        /// Take a chunk and throw it away: it was refused, and is on its way all the same.
        case skip(octets: Int)
        /// Ask whether this login is right; ``ServerMachine/verified(_:)`` comes later.
        case verify(Login)
        /// Go on as the session of this client; ``ServerMachine/named(_:_:)`` comes next.
        case name(NamedClient)
        /// Hand the content over for this envelope; ``ServerMachine/committed(_:)`` comes later.
        case commit(Envelope)
        /// Say that the message was queued, and, when we are going down, 421 after it.
        case queued(MessageID, thenClose: ServerReply?)
        /// Say this line, and, when we are going down, 421 after it.
        case say(String, thenClose: ServerReply?)
        /// Reply, and close; with `also` a second reply after the first.
        case close(ServerReply, also: ServerReply? = nil)
    }

    /// The client waits for us.
    var isAnswering: Bool { phase == .committing || phase == .verifying }

    /// What came of handing content over.
    package enum Verdict: Hashable, Sendable {
        case queued(MessageID)
        case refused(ServerReply)
        /// Refused for what it is, with a reply of its own, without CRLF; no fault of the session's.
        case turnedAway(String)
    }

    package internal(set) var phase = Phase.opening
    /// What the client called itself; nil before EHLO and HELO.
    package internal(set) var hello: (name: String, extended: Bool)?
    package private(set) var isEncrypted = false
    package internal(set) var policy: Policy
    /// The client has proved who it is.
    package var isLoggedIn = false
    var exchange: LoginExchange?
    let offersTLS: Bool
    var envelope: Envelope?
    /// How the content of this transaction comes in.
    var transfer = Transfer.none
    /// The chunk that is coming in.
    var chunk: Chunk?
    var errors = 0
    /// Commands that move no mail since the last message: NOOP, RSET, HELP, VRFY, EHLO.
    private var idleCommands = 0
    var closing = false

    /// Postfix allows 100 such commands as well; nobody needs them.
    private static let idleLimit = 100

    /// - Parameter offersTLS: STARTTLS is offered in the clear.
    package init(policy: Policy, offersTLS: Bool) {
        self.policy = policy
        self.offersTLS = offersTLS
    }

    /// The connection stands, and TLS too when it was to be there from the start.
    package mutating func opened(encrypted: Bool) -> Action {
        guard phase == .opening else { return .nothing }
        isEncrypted = encrypted
        guard !closing else { return end(.shuttingDown) }
        phase = .commands
        return .greet
    }

    /// - Parameter admission: why no mail may come in right now, or not from or to whom the command names; nil when it
    ///   may.
    package mutating func received(_ command: Command, admission: @autoclosure () -> ServerReply?) -> Action {
        guard phase == .commands else { return .nothing }
        switch command {
        case .mail(let command): return mail(command, admission)
        case .rcpt(let path, let request): return recipient(path, request, admission)
        case .data: return data(admission)
        case .bdat(let octets, let last): return beginChunk(octets, last: last, admission)
        case .hello(let name, let extended):
            hello = (name, extended)
            forgetTransaction()
            return idle(.hello(extended: extended))
        case .rset:
            forgetTransaction()
            return idle(.reply(.ok))
        case .noop: return idle(.reply(.ok))
        case .help: return idle(.reply(.help))
        case .vrfy: return idle(.reply(.cannotVerify))
        case .quit: return end(.bye)
        case .startTLS: return startTLS()
        case .auth(let mechanism, let initial): return auth(mechanism, initial)
        case .xclient(let client): return xclient(client)
        }
    }

    /// A line that is no command.
    package mutating func received(_ fault: CommandFault) -> Action {
        guard phase == .commands else { return .nothing }
        return fault == .chunk ? end(.chunkSize) : refuse(ServerReply(fault))
    }

    /// A line above the limit.
    package mutating func receivedLongLine() -> Action {
        switch phase {
        case .commands: refuse(.lineTooLong)
        case .credentials: endLogin(.lineTooLong)
        default: .nothing
        }
    }

    /// A bare CR or LF, or octets after STARTTLS: nothing that follows may be interpreted.
    package mutating func violated(_ reply: ServerReply) -> Action { end(reply) }

    /// The handshake after STARTTLS is over: everything said in the clear is forgotten (RFC 3207 section 4.2).
    package mutating func encrypted() -> Action {
        guard phase == .handshake else { return .nothing }
        isEncrypted = true
        hello = nil
        forgetTransaction()
        guard !closing else { return end(.shuttingDown) }
        phase = .commands
        return .nothing
    }

    /// The final dot has come.
    ///
    /// - Parameter refusal: why the content cannot be taken.
    package mutating func contentEnded(refusal: ServerReply?) -> Action {
        guard phase == .content, let envelope else { return .nothing }
        self.envelope = nil
        phase = .committing
        if let refusal { return committed(.refused(refusal)) }
        return .commit(envelope)
    }

    package mutating func committed(_ verdict: Verdict) -> Action {
        guard phase == .committing else { return .nothing }
        phase = closing ? .closed : .commands
        switch verdict {
        case .queued(let id):
            idleCommands = 0
            return .queued(id, thenClose: closing ? .shuttingDown : nil)
        case .turnedAway(let line):
            idleCommands = 0
            return .say(line, thenClose: closing ? .shuttingDown : nil)
        case .refused(let reply):
            return closing ? .close(reply, also: .shuttingDown) : refuse(reply)
        }
    }

    /// The client let a deadline pass.
    package mutating func timedOut() -> Action {
        end(phase == .content || phase == .chunk ? .tooSlow : .timeout)
    }

    /// We are going down: who is between messages is told at once, who is inside one may finish it.
    package mutating func shutDown() -> Action {
        closing = true
        return (phase == .commands && !takesChunks) || phase == .credentials ? end(.shuttingDown) : .nothing
    }

    /// Nobody is waited for any longer.
    package mutating func cutOff() -> Action { end(.shuttingDown) }

    /// The connection is gone.
    package mutating func disconnected() { phase = .closed }

    private mutating func mail(_ command: MailCommand, _ admission: () -> ServerReply?) -> Action {
        guard hello != nil else { return refuse(.helloFirst) }
        guard envelope == nil else { return refuse(.badSequence) }
        guard command.smtpUTF8 || !command.nonASCII else { return refuse(.needsSMTPUTF8) }
        guard (command.size ?? 0) <= policy.messageSize else { return refuse(.tooLarge) }
        if let refusal = admission() { return refuse(refusal) }
        envelope = Envelope(command)
        return .reply(.senderOk)
    }

    private mutating func recipient(
        _ path: ForwardPath, _ request: RecipientRequest?, _ admission: () -> ServerReply?
    ) -> Action {
        guard let smtpUTF8 = envelope?.smtpUTF8, transfer == .none else {
            return refuse(hello == nil ? .helloFirst : .badSequence)
        }
        switch path {
        case .postmaster:
            guard let postmaster = policy.postmaster else { return refuse(.noPostmaster) }
            return add(postmaster, nonASCII: false, request, admission)
        case .address(let address, let nonASCII):
            guard policy.mayRelay else { return refuse(policy.denial) }
            guard smtpUTF8 || !nonASCII else { return refuse(.needsSMTPUTF8) }
            return add(address, nonASCII: nonASCII, request, admission)
        }
    }

    private mutating func add(
        _ recipient: Address, nonASCII: Bool, _ request: RecipientRequest?, _ admission: () -> ServerReply?
    ) -> Action {
        // A repeated recipient gets one copy and a friendly answer.
        if envelope?.contains(recipient) == true { return .reply(.recipientOk) }
        guard (envelope?.recipients.count ?? 0) < policy.recipients else { return .reply(.tooManyRecipients) }
        if let refusal = admission() { return refuse(refusal) }
        envelope?.add(recipient, nonASCII: nonASCII, request)
        return .reply(.recipientOk)
    }

    private mutating func data(_ admission: () -> ServerReply?) -> Action {
        guard let envelope else { return refuse(hello == nil ? .helloFirst : .badSequence) }
        guard transfer == .none else {
            // RFC 3030 section 2: never both in one transaction, and after this only RSET helps.
            transfer = .failed(.badSequence)
            return refuse(.badSequence)
        }
        guard !envelope.recipients.isEmpty else { return refuse(.noRecipients) }
        if let refusal = admission() {
            self.envelope = nil
            return refuse(refusal)
        }
        phase = .content
        return .receive(envelope)
    }

    private mutating func startTLS() -> Action {
        guard offersTLS else { return refuse(.notImplemented) }
        guard !isEncrypted, envelope == nil else { return refuse(.badSequence) }
        phase = .handshake
        return .upgrade(.readyForTLS)
    }

    mutating func idle(_ action: Action) -> Action {
        guard !closing || takesChunks else { return end(.shuttingDown) }
        idleCommands += 1
        guard idleCommands > Self.idleLimit else { return action }
        errors += 1
        return errors > policy.errors ? end(.tooManyErrors) : action
    }

    /// Refusals that are the client's fault count, and one of them is the last.
    mutating func refuse(_ reply: ServerReply) -> Action {
        let code = reply.code
        if code == 421 { return end(reply) }
        guard code >= 500 else { return .reply(reply) }
        errors += 1
        return errors > policy.errors ? end(.tooManyErrors) : .reply(reply)
    }

    mutating func end(_ reply: ServerReply) -> Action {
        guard phase != .closed else { return .nothing }
        phase = .closed
        forgetTransaction()
        return .close(reply)
    }
}
