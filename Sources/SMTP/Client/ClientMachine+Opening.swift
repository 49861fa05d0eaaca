import Mail

/// From the banner to the first transaction.
extension ClientMachine {
    mutating func receivedBanner(_ code: UInt16, _ reply: () -> Reply) -> ClientAction {
        guard code < 300 else { return refused(code, reply) }
        state = .ehlo
        return .ehlo
    }

    mutating func receivedHello(_ code: UInt16, more: Bool, _ reply: () -> Reply) -> ClientAction {
        if state == .ehlo, tls == nil, [500, 502, 504].contains(code) {
            // RFC 5321 section 3.2: a host that does not know EHLO is tried with HELO.
            state = .helo
            return .helo
        }
        guard code < 300 else { return refused(code, reply) }
        guard !more else { return violated("more than the reply to EHLO") }
        features = state == .ehlo ? HostFeatures(ehlo: reply()) : HostFeatures()
        guard tls == nil, secrecy != .never else { return introduce() }
        if features.startTLS {
            state = .startTLS
            return .startTLS
        }
        guard secrecy == .always else { return introduce() }
        state = .startTLS
        return fail(.trouble(.tls, "STARTTLS is not offered"), quit: true)
    }

    mutating func receivedStartTLS(_ code: UInt16, more: Bool, _ reply: () -> Reply) -> ClientAction {
        switch code {
        case 200..<300:
            // What follows the 220 in the clear is not the host's, but that of somebody in between, who hopes that it
            // will be read as if it came over TLS (RFC 3207 section 4.2 wants all earlier knowledge dropped).
            guard !more else { return violated("text in the clear after the answer to STARTTLS") }
            state = .handshake
            return .handshake
        case 300..<400:
            return violated("\(code) to STARTTLS")
        default:
            guard secrecy == .ifOffered, code != 421 else { return refused(code, reply) }
            return introduce()
        }
    }

    mutating func tlsEstablished(_ version: String) -> ClientAction {
        guard case .handshake = state else { return .wait }
        tls = version
        features = HostFeatures()
        if secrecy == .fromTheStart {
            state = .banner
            return .wait
        }
        state = .ehlo
        return .ehlo
    }

    mutating func tlsFailed(_ text: String) -> ClientAction {
        broke(.tls, text)
    }

    mutating func fail(_ answer: Answer, quit: Bool) -> ClientAction {
        let phase = phase
        state = quit ? .quitting(report: false) : .gone
        return .failed(PhaseAnswer(phase: phase, answer: answer), quit: quit)
    }

    /// Says who we are where that is wanted: over TLS with a verified host and never otherwise (RFC 4954 section 4 asks
    /// for TLS with PLAIN).
    private mutating func introduce() -> ClientAction {
        guard hasLogin else { return open() }
        guard tls != nil, secrecy.isVerified else {
            state = .auth(.plain)
            return fail(.trouble(.tls, "a password is for verified TLS only"), quit: true)
        }
        let step = features.auth.contains("PLAIN") ? AuthStep.plain : .login
        state = .auth(step)
        guard features.auth.contains("PLAIN") || features.auth.contains("LOGIN") else {
            return fail(.trouble(.missingExtension, "neither AUTH PLAIN nor AUTH LOGIN is offered"), quit: true)
        }
        return .authenticate(step)
    }

    mutating func receivedAuth(_ step: AuthStep, _ code: UInt16, more: Bool, _ reply: () -> Reply) -> ClientAction {
        guard !more else { return violated("more than the reply to AUTH") }
        switch (code, step) {
        case (334, .login):
            state = .auth(.loginName)
            return .authenticate(.loginName)
        case (334, .loginName):
            state = .auth(.loginPassword)
            return .authenticate(.loginPassword)
        case (200..<300, .plain), (200..<300, .loginPassword):
            return open()
        case (400..., _):
            return refused(code, reply)
        default:
            return violated("\(code) to AUTH")
        }
    }

    private mutating func open() -> ClientAction {
        state = .idle
        return .opened
    }

    private mutating func refused(_ code: UInt16, _ reply: () -> Reply) -> ClientAction {
        guard code >= 400 else { return violated("\(code) where 2xx, 4xx or 5xx was due") }
        return fail(.reply(reply()), quit: code != 421)
    }
}
