/// AUTH (RFC 4954): the client's words are collected here, and judged by whoever knows the accounts.
extension ServerMachine {
    /// How far an exchange has come.
    enum LoginExchange: Hashable, Sendable {
        /// One response has all (RFC 4616 section 2).
        case plain
        /// One response, for whom (RFC 4422 appendix A.1).
        case external
        case name
        case password(name: [UInt8])
    }

    /// What came of a login.
    package enum LoginVerdict: Sendable {
        /// From now on the session may do this.
        case accepted(Policy)
        case refused(ServerReply)
    }

    /// What EHLO names at this moment.
    var offers: Offers {
        var offers: Offers = policy.mayName ? .naming : []
        guard isEncrypted else { return offersTLS ? offers.union(.startTLS) : offers }
        if policy.offersLogin { offers.insert(.login) }
        if policy.certified != nil { offers.insert(.external) }
        return offers
    }

    mutating func auth(_ mechanism: LoginMechanism?, _ initial: LoginResponse?) -> Action {
        guard policy.offersLogin || policy.certified != nil else { return refuse(.notImplemented) }
        guard isEncrypted else { return refuse(.loginNeedsTLS) }
        guard hello?.extended == true else { return refuse(.helloFirst) }
        // RFC 4954 section 4: once a session, and never inside a transaction.
        guard !isLoggedIn, envelope == nil else { return refuse(.badSequence) }
        guard !closing else { return end(.shuttingDown) }
        switch mechanism {
        case .plain where policy.offersLogin: exchange = .plain
        case .login where policy.offersLogin: exchange = .name
        case .external where policy.certified != nil: exchange = .external
        default: return refuse(.unknownMechanism)
        }
        phase = .credentials
        if let initial { return heed(initial) }
        return .reply(mechanism == .login ? .giveName : .giveCredentials)
    }

    /// A line that answers a challenge of ours.
    package mutating func received(response line: Span<UInt8>) -> Action {
        guard phase == .credentials else { return .nothing }
        if line.count == 1, line[0] == UInt8(ascii: "*") { return endLogin(.loginCancelled) }
        guard let response = LoginParser.response(line) else { return endLogin(.badBase64) }
        return heed(response)
    }

    /// - Parameter verdict: what the accounts say to ``Action/verify(_:)``.
    package mutating func verified(_ verdict: LoginVerdict) -> Action {
        guard phase == .verifying else { return .nothing }
        switch verdict {
        case .accepted(let policy):
            phase = .commands
            guard !closing else { return end(.shuttingDown) }
            self.policy = policy
            isLoggedIn = true
            return .reply(.loggedIn)
        case .refused(let reply):
            phase = .commands
            guard !closing else { return end(.shuttingDown) }
            return refuse(reply)
        }
    }

    private mutating func heed(_ response: LoginResponse) -> Action {
        switch exchange {
        case .name:
            exchange = .password(name: response.octets)
            return .reply(.givePassword)
        case .plain: return verify(Login(plain: response))
        case .external: return certify(response)
        case .password(let name): return verify(Login(user: name, secret: response.octets))
        case nil: return endLogin(.badSequence)
        }
    }

    /// Who it is was settled by the handshake; nobody acts as somebody else.
    private mutating func certify(_ response: LoginResponse) -> Action {
        guard let name = policy.certified, response.octets.isEmpty || response.octets == Array(name.utf8) else {
            return endLogin(.loginRefused)
        }
        exchange = nil
        phase = .commands
        isLoggedIn = true
        return .reply(.loggedIn)
    }

    private mutating func verify(_ login: Login?) -> Action {
        guard let login else { return endLogin(.loginRefused) }
        exchange = nil
        phase = .verifying
        return .verify(login)
    }

    mutating func endLogin(_ reply: ServerReply) -> Action {
        exchange = nil
        phase = .commands
        return refuse(reply)
    }
}
