import Mail

/// What the handler must do next. It decides nothing itself.
enum ClientAction: Equatable {
    /// Nothing, but wait for what the machine waits for.
    case wait
    /// Say EHLO, HELO, STARTTLS or RSET.
    case ehlo, helo, startTLS, reset
    /// Say this of who we are.
    case authenticate(ClientMachine.AuthStep)
    /// Start TLS as the client.
    case handshake
    /// Tell the delegate that the first transaction may come.
    case opened
    /// Tell the delegate that it never came to that, and close; QUIT first where the host still listens.
    case failed(PhaseAnswer, quit: Bool)
    /// Write MAIL, every RCPT and DATA at once (RFC 2920 section 3.1).
    case envelope
    case mail
    /// The recipient of this index.
    case rcpt(Int)
    case data
    /// Write the content and its final dot, and tell the machine when the last octet is out.
    case content
    /// End content of which nothing was sent.
    case loneDot
    /// Tell the delegate, one answer for each recipient.
    case finished([PhaseAnswer], then: Afterwards)
    /// Say QUIT.
    case quit
    /// The idle session is gone: tell the delegate and close.
    case closed
    /// Close; nobody waits for word.
    case drop

    enum Afterwards: Equatable {
        /// The session waits for another transaction.
        case stay
        case quit, close
    }
}
