package import NIOCore

/// How long the client waits for what, each counted from the moment a command, or a block of content, was handed to the
/// connection. The defaults are those of RFC 5321 section 4.5.3.2; all must be above zero.
package struct ClientDeadlines: Sendable {
    package var banner: TimeAmount = .minutes(5)
    /// EHLO and HELO, STARTTLS, and the whole TLS handshake.
    package var ehlo: TimeAmount = .minutes(5)
    package var mail: TimeAmount = .minutes(5)
    package var rcpt: TimeAmount = .minutes(5)
    package var data: TimeAmount = .minutes(2)
    package var block: TimeAmount = .minutes(3)
    package var dot: TimeAmount = .minutes(10)
    /// RSET after a refusal and QUIT: nothing depends on their answers but the connection, so waiting is not worth it.
    package var parting: TimeAmount = .seconds(10)

    package init() {}

    /// The shortest of them: what looks at deadlines must look more often than that.
    package var shortest: TimeAmount {
        [banner, ehlo, mail, rcpt, data, block, dot, parting].reduce(banner, min)
    }

    func span(of wait: ClientMachine.Wait) -> TimeAmount {
        switch wait {
        case .banner: banner
        case .ehlo: ehlo
        case .mail: mail
        case .rcpt: rcpt
        case .data: data
        case .block: block
        case .dot: dot
        case .parting: parting
        }
    }
}
