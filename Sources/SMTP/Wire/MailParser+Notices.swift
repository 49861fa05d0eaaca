import Mail

/// The parameters by which a sender asks for delivery status notifications (RFC 3461 section 4).
extension MailParser {
    static func returned(
        _ line: Span<UInt8>, _ value: Range<Int>
    ) throws(CommandFault) -> NoticeRequest.Returned {
        if equal(line, value, "FULL") { return .full }
        guard equal(line, value, "HDRS") else { throw .arguments }
        return .headers
    }

    /// At most 100 octets of xtext (RFC 3461 section 4.4).
    static func envelopeID(_ line: Span<UInt8>, _ value: Range<Int>) throws(CommandFault) -> String {
        guard (1...100).contains(value.count) else { throw .arguments }
        let octets = octets(line, value)
        guard Xtext.decode(octets) != nil else { throw .arguments }
        return String(decoding: octets, as: UTF8.self)
    }

    static func recipientRequest(
        _ line: Span<UInt8>, _ range: Range<Int>
    ) throws(CommandFault) -> RecipientRequest? {
        var request = RecipientRequest()
        var index = range.lowerBound
        while index < range.upperBound {
            let (keyword, value) = parameter(line, &index, range.upperBound)
            if equal(line, keyword, "NOTIFY") {
                guard let value, request.notify == nil else { throw .arguments }
                request.notify = try notify(line, value)
            } else if equal(line, keyword, "ORCPT") {
                guard let value, request.original == nil else { throw .arguments }
                request.original = try originalRecipient(line, value)
            } else {
                throw .unknownParameter
            }
        }
        return request
    }

    /// `NEVER` alone, or a list of the others (RFC 3461 section 4.1).
    private static func notify(
        _ line: Span<UInt8>, _ value: Range<Int>
    ) throws(CommandFault) -> RecipientRequest.Notify {
        if equal(line, value, "NEVER") { return .never }
        var conditions: RecipientRequest.Notify = []
        var index = value.lowerBound
        while true {
            let start = index
            while index < value.upperBound, line[index] != UInt8(ascii: ",") { index += 1 }
            let word = start..<index
            if equal(line, word, "SUCCESS") {
                conditions.insert(.success)
            } else if equal(line, word, "FAILURE") {
                conditions.insert(.failure)
            } else if equal(line, word, "DELAY") {
                conditions.insert(.delay)
            } else {
                throw .arguments
            }
            guard index < value.upperBound else { return conditions }
            index += 1
        }
    }

    /// `rfc822;bob@example.org`: at most 500 octets (RFC 3461 section 4.2), the address in xtext. `utf-8` is RFC 6533
    /// section 3's; what comes in raw UTF-8 is kept in its other form, `\x{…}`, which every host can be given.
    private static func originalRecipient(
        _ line: Span<UInt8>, _ value: Range<Int>
    ) throws(CommandFault) -> String {
        guard value.count <= 500 else { throw .arguments }
        var octets = octets(line, value)
        guard let semicolon = octets.firstIndex(of: UInt8(ascii: ";")), semicolon > 0 else { throw .arguments }
        let isType = octets[..<semicolon].allSatisfy {
            (48...57).contains($0) || (65...90).contains($0 & 0xDF) || $0 == UInt8(ascii: "-")
        }
        if octets[(semicolon + 1)...].contains(where: { $0 > 127 }) {
            octets = try escaped(octets, after: semicolon)
        }
        let address = octets[(semicolon + 1)...]
        guard isType, !address.isEmpty, Xtext.decode(address) != nil else { throw .arguments }
        return String(decoding: octets, as: UTF8.self)
    }

    private static func escaped(_ octets: [UInt8], after semicolon: Int) throws(CommandFault) -> [UInt8] {
        guard String(decoding: octets[..<semicolon], as: UTF8.self).lowercased() == "utf-8",
            let address = String(validating: octets[(semicolon + 1)...], as: UTF8.self)
        else { throw .arguments }
        var text = "utf-8;"
        for scalar in address.unicodeScalars { text += Xtext.escaped(scalar) }
        return Array(text.utf8)
    }

    private static func octets(_ line: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
        line.extracting(range).withUnsafeBufferPointer { Array($0) }
    }
}
