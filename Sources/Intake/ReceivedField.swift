import Mail
import NIOCore
import SMTP

/// The trace field at the top of every message we take (RFC 5321 section 4.4).
struct ReceivedField {
    /// The client's address as a literal, behind its name where one is known.
    var client: String
    var facts: ServerSessionFacts
    var hostname: String
    var id: MessageID
    var envelope: Envelope
    /// The customer is known by the certificate that it has shown.
    var isCertified: Bool
    var time: Timestamp

    func write(to buffer: inout ByteBuffer) {
        buffer.writeStaticString("Received: from ")
        buffer.writeString(facts.hello)
        buffer.writeStaticString(" (")
        buffer.writeString(client)
        buffer.writeStaticString(")\r\n\tby ")
        buffer.writeString(hostname)
        buffer.writeStaticString(" with ")
        buffer.writeStaticString(protocolName)
        // RFC 3848 has no word for it.
        if isCertified { buffer.writeStaticString(" (client certificate)") }
        buffer.writeStaticString(" id ")
        buffer.writeString(id.description)
        // With UTF-8 in our own field the message would need SMTPUTF8 for it at every host.
        if envelope.recipients.count == 1, !envelope.nonASCII, let recipient = envelope.recipients.first {
            // With more than one, each would learn of the others (RFC 5321 section 7.2).
            buffer.writeStaticString("\r\n\tfor <")
            buffer.writeString(recipient.localPart)
            buffer.writeStaticString("@")
            buffer.writeString(recipient.domain)
            buffer.writeStaticString(">")
        }
        buffer.writeStaticString("; ")
        buffer.writeDateTime(time)
        buffer.writeStaticString("\r\n")
    }

    /// RFC 3848 section 1 and RFC 6531 section 4.3.
    private var protocolName: StaticString {
        switch (envelope.smtpUTF8, facts.extended, facts.tls != nil) {
        case (true, _, true): facts.loggedIn ? "UTF8SMTPSA" : "UTF8SMTPS"
        case (true, _, false): facts.loggedIn ? "UTF8SMTPA" : "UTF8SMTP"
        case (false, true, true): facts.loggedIn ? "ESMTPSA" : "ESMTPS"
        // In the clear nobody logs in but at a load balancer.
        case (false, true, false): facts.loggedIn ? "ESMTPA" : "ESMTP"
        case (false, false, _): "SMTP"
        }
    }
}
