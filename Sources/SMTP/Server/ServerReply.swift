package import NIOCore

/// A reply of ours, constant but for a time of day: writing one is a copy of a few octets.
package struct ServerReply: Hashable, Sendable {
    /// Code, enhanced status (RFC 2034 section 4), text and CRLF; without its end where ``hour`` follows.
    package let line: StaticString
    /// A full hour of UTC that the text ends with, 0 to 23.
    package let hour: Int?

    package init(_ line: StaticString) {
        self.line = line
        hour = nil
    }

    /// - Parameters:
    ///   - line: up to where the time of day stands.
    ///   - hour: 0 to 23; `14:00 UTC` and CRLF are added.
    package init(_ line: StaticString, hour: Int) {
        self.line = line
        self.hour = hour
    }

    package func write(to buffer: inout ByteBuffer) {
        buffer.writeStaticString(line)
        guard let hour else { return }
        buffer.writeInteger(UInt8(truncatingIfNeeded: 48 + hour / 10))
        buffer.writeInteger(UInt8(truncatingIfNeeded: 48 + hour % 10))
        buffer.writeStaticString(":00 UTC\r\n")
    }

    /// 200 to 599.
    package var code: Int {
        line.withUTF8Buffer { $0.prefix(3).reduce(0) { $0 * 10 + Int($1 & 15) } }
    }

    /// Without its CRLF.
    package var text: String {
        var buffer = ByteBuffer()
        write(to: &buffer)
        return String(decoding: buffer.readableBytesView.dropLast(2), as: UTF8.self)
    }

    package static func == (left: ServerReply, right: ServerReply) -> Bool {
        left.hour == right.hour
            && left.line.withUTF8Buffer { left in right.line.withUTF8Buffer { left.elementsEqual($0) } }
    }

    package func hash(into hasher: inout Hasher) {
        line.withUTF8Buffer { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(hour)
    }
}

extension ServerReply {
    package static var ok: ServerReply { ServerReply("250 2.0.0 Ok\r\n") }
    package static var senderOk: ServerReply { ServerReply("250 2.1.0 Ok\r\n") }
    package static var recipientOk: ServerReply { ServerReply("250 2.1.5 Ok\r\n") }
    package static var goAhead: ServerReply { ServerReply("354 End data with <CR><LF>.<CR><LF>\r\n") }
    package static var chunkOk: ServerReply { ServerReply("250 2.0.0 Chunk received\r\n") }
    package static var bye: ServerReply { ServerReply("221 2.0.0 Bye\r\n") }
    package static var cannotVerify: ServerReply { ServerReply("252 2.1.5 Send some mail, it may arrive\r\n") }
    package static var help: ServerReply {
        ServerReply("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP STARTTLS AUTH BDAT QUIT\r\n")
    }
    package static var readyForTLS: ServerReply { ServerReply("220 2.0.0 Ready to start TLS\r\n") }

    // AUTH (RFC 4954 sections 4 and 6); its challenges have no enhanced status.
    package static var giveCredentials: ServerReply { ServerReply("334 \r\n") }
    /// `Username:` and `Password:` in base64: clients go by the words.
    package static var giveName: ServerReply { ServerReply("334 VXNlcm5hbWU6\r\n") }
    package static var givePassword: ServerReply { ServerReply("334 UGFzc3dvcmQ6\r\n") }
    package static var loggedIn: ServerReply { ServerReply("235 2.7.0 Authentication successful\r\n") }
    package static var loginCancelled: ServerReply { ServerReply("501 5.7.0 Authentication cancelled\r\n") }
    package static var badBase64: ServerReply { ServerReply("501 5.5.2 Cannot decode response\r\n") }
    package static var unknownMechanism: ServerReply { ServerReply("504 5.5.4 Unknown authentication mechanism\r\n") }
    package static var loginRefused: ServerReply { ServerReply("535 5.7.8 Authentication credentials invalid\r\n") }
    package static var loginClosed: ServerReply { ServerReply("535 5.7.8 Account is closed\r\n") }
    package static var loginNeedsTLS: ServerReply { ServerReply("538 5.7.11 Encryption required, use STARTTLS\r\n") }
    package static var loginBusy: ServerReply {
        ServerReply("454 4.7.0 Temporary authentication failure, try again later\r\n")
    }
    package static var loginGone: ServerReply { ServerReply("421 4.7.0 Your login is no longer valid\r\n") }
    package static var tooManySessions: ServerReply {
        ServerReply("421 4.7.0 Too many connections of this customer\r\n")
    }
    package static var tooManyLogins: ServerReply {
        ServerReply("421 4.7.0 Too many failed logins from your address, try again later\r\n")
    }

    // Commands that cannot be obeyed.
    package static var unknown: ServerReply { ServerReply("500 5.5.2 Command not recognized\r\n") }
    package static var emptyChunk: ServerReply { ServerReply("501 5.5.4 A chunk of 0 octets must be the last\r\n") }
    package static var lineTooLong: ServerReply { ServerReply("500 5.5.2 Line too long\r\n") }
    package static var arguments: ServerReply { ServerReply("501 5.5.4 Syntax error in arguments\r\n") }
    package static var badSender: ServerReply { ServerReply("501 5.1.7 Bad sender address syntax\r\n") }
    package static var badRecipient: ServerReply { ServerReply("501 5.1.3 Bad recipient address syntax\r\n") }
    package static var pathTooLong: ServerReply { ServerReply("501 5.1.3 Address too long\r\n") }
    package static var notImplemented: ServerReply { ServerReply("502 5.5.1 Command not implemented\r\n") }
    package static var badSequence: ServerReply { ServerReply("503 5.5.1 Bad sequence of commands\r\n") }
    package static var helloFirst: ServerReply { ServerReply("503 5.5.1 Send EHLO or HELO first\r\n") }
    package static var noRecipients: ServerReply { ServerReply("554 5.5.1 No valid recipients\r\n") }
    package static var unknownParameter: ServerReply { ServerReply("555 5.5.4 Parameter not recognized\r\n") }
    package static var needsSMTPUTF8: ServerReply { ServerReply("553 5.6.7 Address needs SMTPUTF8\r\n") }

    // Refusals by policy.
    package static var relayDenied: ServerReply { ServerReply("550 5.7.1 Relay access denied\r\n") }
    package static var accountClosed: ServerReply { ServerReply("550 5.7.1 Account is closed\r\n") }
    package static var senderNotOwn: ServerReply {
        ServerReply("550 5.7.1 Sender address is not yours to use\r\n")
    }
    package static var authorNotOwn: ServerReply {
        ServerReply("550 5.7.1 From: address is not yours to use\r\n")
    }
    package static var authorUnclear: ServerReply {
        ServerReply("550 5.7.1 From: header field missing, repeated or not understood\r\n")
    }
    package static var noPostmaster: ServerReply { ServerReply("550 5.1.1 No such mailbox here\r\n") }
    package static var tooManyRecipients: ServerReply { ServerReply("452 4.5.3 Too many recipients\r\n") }
    package static var tooLarge: ServerReply { ServerReply("552 5.3.4 Message too large\r\n") }
    package static var headerTooLarge: ServerReply { ServerReply("552 5.3.4 Message header too large\r\n") }
    package static var tooManyHops: ServerReply { ServerReply("554 5.4.6 Too many hops, this is a loop\r\n") }
    package static var longLine: ServerReply { ServerReply("554 5.6.0 A line of the message is too long\r\n") }
    package static var brokenHeader: ServerReply { ServerReply("554 5.6.0 A line of the header is no field\r\n") }
    package static var noLineEnd: ServerReply { ServerReply("554 5.6.0 Message does not end with a line end\r\n") }
    package static var containsNUL: ServerReply { ServerReply("554 5.6.0 Message contains a NUL octet\r\n") }

    package static var namingDenied: ServerReply { ServerReply("550 5.7.1 Insufficient authorization\r\n") }
    package static var namedLoginUnknown: ServerReply { ServerReply("550 5.7.1 The login named is nobody's\r\n") }

    // Our own state.
    package static var busy: ServerReply { ServerReply("451 4.3.2 Busy, try again later\r\n") }
    package static var diskShort: ServerReply { ServerReply("452 4.3.1 Short of disk space, try again later\r\n") }
    package static var storeFailed: ServerReply { ServerReply("451 4.3.0 Cannot store mail, try again later\r\n") }

    // Replies after which the session ends.
    package static var bareCR: ServerReply { ServerReply("554 5.5.2 Bare carriage return received\r\n") }
    package static var bareLF: ServerReply { ServerReply("554 5.5.2 Bare line feed received\r\n") }
    package static var chunkSize: ServerReply { ServerReply("501 5.5.4 Chunk size not understood\r\n") }
    package static var notInClear: ServerReply { ServerReply("554 5.5.1 Nothing may follow STARTTLS\r\n") }
    package static var tooManyErrors: ServerReply { ServerReply("421 4.7.0 Too many errors\r\n") }
    package static var timeout: ServerReply { ServerReply("421 4.4.2 Timeout\r\n") }
    package static var tooSlow: ServerReply { ServerReply("421 4.4.2 Data came too slowly\r\n") }
    package static var shuttingDown: ServerReply { ServerReply("421 4.3.2 Shutting down\r\n") }
    package static var tooManyConnections: ServerReply { ServerReply("421 4.3.2 Too many connections\r\n") }
    package static var tooManyFromClient: ServerReply {
        ServerReply("421 4.7.0 Too many connections from your address\r\n")
    }
}

extension ServerReply {
    package init(_ fault: CommandFault) {
        switch fault {
        case .unknown: self = .unknown
        case .notImplemented: self = .notImplemented
        case .arguments: self = .arguments
        case .unknownParameter: self = .unknownParameter
        case .sender: self = .badSender
        case .recipient: self = .badRecipient
        case .pathTooLong: self = .pathTooLong
        case .chunk: self = .chunkSize
        case .base64: self = .badBase64
        }
    }
}
