import Mail

/// How a client may prove who it is (RFC 4954 section 3); a password is sent as it is, so only inside TLS.
package enum LoginMechanism: Hashable, Sendable {
    /// RFC 4616.
    case plain
    /// Never a standard, and what Outlook and many a device speak: name and password are asked for one by one.
    case login
    /// RFC 4422 appendix A: by the certificate of the handshake.
    case external
}

/// What a client says within AUTH, decoded; may hold a password, and is never logged.
package struct LoginResponse: Hashable, Sendable, CustomStringConvertible {
    package let octets: [UInt8]

    package init(_ octets: [UInt8]) { self.octets = octets }

    package var description: String { "\(octets.count) octets" }
}

/// Reads AUTH and what follows it (RFC 4954 section 4).
enum LoginParser {
    /// Octets of a decoded response: two names and a password, each of 255.
    static let longest = 1_024

    /// `AUTH mechanism [initial-response]`.
    static func auth(_ line: Span<UInt8>, _ argument: Range<Int>) throws(CommandFault) -> Command {
        var index = argument.lowerBound
        let word = word(line, &index, argument.upperBound)
        guard !word.isEmpty else { throw .arguments }
        let mechanism: LoginMechanism? =
            if MailParser.equal(line, word, "PLAIN") {
                .plain
            } else if MailParser.equal(line, word, "LOGIN") {
                .login
            } else if MailParser.equal(line, word, "EXTERNAL") {
                .external
            } else {
                nil
            }
        let response = Self.word(line, &index, argument.upperBound)
        guard index == argument.upperBound else { throw .arguments }
        guard !response.isEmpty, mechanism != nil else { return .auth(mechanism, initial: nil) }
        // A response of no octets is written so, since nothing at all means that there is none.
        if MailParser.equal(line, response, "=") { return .auth(mechanism, initial: LoginResponse([])) }
        guard let initial = self.response(line.extracting(response)) else { throw .base64 }
        return .auth(mechanism, initial: initial)
    }

    /// A line that answers a challenge; nil when it is no base64, or longer than anything sensible.
    static func response(_ line: Span<UInt8>) -> LoginResponse? {
        guard line.count <= (longest + 2) / 3 * 4 else { return nil }
        return Base64.octets(line).map(LoginResponse.init)
    }

    /// The value of MAIL's AUTH: `<>`, or an address as xtext (RFC 3461 section 4).
    static func checkSender(_ line: Span<UInt8>, _ value: Range<Int>) throws(CommandFault) {
        guard !value.isEmpty, value.count <= 500 else { throw .arguments }
        if MailParser.equal(line, value, "<>") { return }
        let octets = line.extracting(value).withUnsafeBufferPointer { Array($0) }
        guard Xtext.decode(octets) != nil else { throw .arguments }
    }

    /// Up to the next space; `index` is left at what follows the spaces.
    private static func word(_ line: Span<UInt8>, _ index: inout Int, _ end: Int) -> Range<Int> {
        let start = index
        while index < end, line[index] != 32 { index += 1 }
        let word = start..<index
        while index < end, line[index] == 32 { index += 1 }
        return word
    }
}
