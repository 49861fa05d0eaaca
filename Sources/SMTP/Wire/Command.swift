package import Mail

/// A command of a client, read and checked for its grammar (RFC 5321 section 4.1.1).
package enum Command: Hashable, Sendable {
    /// EHLO when `extended`, else HELO. The name is letters, digits and `.-_:[]` only, so it can stand in a header.
    case hello(name: String, extended: Bool)
    case mail(MailCommand)
    case rcpt(ForwardPath, RecipientRequest? = nil)
    case data, rset, noop, help, vrfy, quit, startTLS
    /// A chunk of content of so many octets, which follow the command (RFC 3030 section 2).
    case bdat(octets: Int, last: Bool)
    /// AUTH (RFC 4954 section 4); nil is a mechanism that we do not have.
    case auth(LoginMechanism?, initial: LoginResponse?)
    /// XCLIENT, for those who may; nil could not be understood.
    case xclient(NamedClient?)
}

/// MAIL FROM with its parameters.
package struct MailCommand: Hashable, Sendable {
    package var sender: ReversePath
    /// The sender has octets above 127.
    package var nonASCII = false
    /// What SIZE declares (RFC 1870 section 6.1); what does not fit is the largest number.
    package var size: Int?
    /// BODY=8BITMIME (RFC 6152 section 2).
    package var eightBit = false
    /// SMTPUTF8 (RFC 6531 section 3.4).
    package var smtpUTF8 = false
    /// RET (RFC 3461 section 4.3).
    package var returned: NoticeRequest.Returned?
    /// ENVID in xtext (RFC 3461 section 4.4).
    package var envelopeID: String?
    /// AUTH was given (RFC 4954 section 5). Whom a client says a message comes from is read and means nothing: who
    /// sends is known by the login.
    package var hasAuth = false

    package init(sender: ReversePath) {
        self.sender = sender
    }
}

/// Whom RCPT TO names.
package enum ForwardPath: Hashable, Sendable {
    case address(Address, nonASCII: Bool)
    /// `<postmaster>` without a domain (RFC 5321 section 4.1.1.3).
    case postmaster
}

/// Why octets are no command that can be obeyed.
package enum CommandFault: Error, Hashable, Sendable {
    case unknown
    /// Known, but not to this server: EXPN, ETRN and their kind.
    case notImplemented
    /// An argument that is missing, needless or not understood.
    case arguments
    /// A parameter of MAIL or RCPT that was not offered (RFC 5321 section 4.1.1.11).
    case unknownParameter
    case sender(AddressFault)
    case recipient(AddressFault)
    /// Above 256 octets (RFC 5321 section 4.5.3.1.3).
    case pathTooLong
    /// BDAT without a length that can be read: where its octets end, and commands begin again, nobody can say.
    case chunk
    /// A response within AUTH that is no base64 (RFC 4954 section 4).
    case base64
}
