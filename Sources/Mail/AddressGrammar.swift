/// Why octets are not a mailbox.
package enum AddressFault: Error, Hashable {
    case syntax
    /// Above 64 octets (RFC 5321 section 4.5.3.1.1).
    case localPartTooLong
    /// Above 255 octets (RFC 5321 section 4.5.3.1.2), or a label above 63.
    case domainTooLong
    /// Octets above 127 that are not UTF-8 (RFC 6531 section 3.3).
    case notUTF8
}

/// Reads mailboxes as RFC 5321 section 4.1.2 and section 4.1.3 write them, with RFC 6531 section 3.3 on top.
package enum AddressGrammar {
    /// RFC 5322 section 3.2.3.
    private static let atext = OctetSet("!#$%&'*+-/=?^_`{|}~", ranges: 48...57, 65...90, 97...122)
    private static let letterDigit = OctetSet("", ranges: 48...57, 65...90, 97...122)

    /// Reads a mailbox that starts at `index` and leaves `index` after it.
    ///
    /// - Returns: the address, and whether it has octets above 127, which only SMTPUTF8 allows.
    package static func mailbox(
        _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(AddressFault) -> (address: Address, nonASCII: Bool) {
        let start = index
        try localPart(bytes, &index)
        guard index - start <= 64 else { throw .localPartTooLong }
        let local = try text(bytes, start..<index)
        guard index < bytes.count, bytes[index] == UInt8(ascii: "@") else { throw .syntax }
        index += 1
        let domainStart = index
        try domainOrLiteral(bytes, &index)
        let domain = try lowercased(bytes, domainStart..<index)
        let nonASCII = local.nonASCII || domain.nonASCII
        return (Address(localPart: local.text, domain: domain.text), nonASCII)
    }

    /// Reads the local part alone: a dot-string or a quoted string; `index` is left after it.
    package static func localPart(_ bytes: Span<UInt8>, _ index: inout Int) throws(AddressFault) {
        guard index < bytes.count else { throw .syntax }
        if bytes[index] == UInt8(ascii: "\"") { return try quotedString(bytes, &index) }
        while true {
            let atom = index
            while index < bytes.count, bytes[index] > 127 || atext.contains(bytes[index]) { index += 1 }
            guard index > atom else { throw .syntax }
            guard index < bytes.count, bytes[index] == UInt8(ascii: ".") else { return }
            index += 1
        }
    }

    private static func quotedString(_ bytes: Span<UInt8>, _ index: inout Int) throws(AddressFault) {
        index += 1
        while index < bytes.count {
            let octet = bytes[index]
            index += 1
            switch octet {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"):
                guard index < bytes.count, (32...126).contains(bytes[index]) else { throw .syntax }
                index += 1
            case 32...126, 128...255: continue
            default: throw .syntax
            }
        }
        throw .syntax
    }

    /// Reads a domain or an address literal; `index` is left after it.
    package static func domainOrLiteral(_ bytes: Span<UInt8>, _ index: inout Int) throws(AddressFault) {
        let start = index
        guard index < bytes.count else { throw .syntax }
        if bytes[index] == UInt8(ascii: "[") {
            try literal(bytes, &index)
        } else {
            try domain(bytes, &index)
        }
        guard index - start <= 255 else { throw .domainTooLong }
    }

    private static func domain(_ bytes: Span<UInt8>, _ index: inout Int) throws(AddressFault) {
        while true {
            let label = index
            while index < bytes.count, isLabelOctet(bytes[index]) { index += 1 }
            guard index > label, bytes[label] != UInt8(ascii: "-"), bytes[index - 1] != UInt8(ascii: "-") else {
                throw .syntax
            }
            // A U-label may take more octets than its A-label form, which DNS checks later.
            guard index - label <= 63 || hasNonASCII(bytes, label..<index) else { throw .domainTooLong }
            guard index < bytes.count, bytes[index] == UInt8(ascii: ".") else { return }
            index += 1
        }
    }

    private static func isLabelOctet(_ octet: UInt8) -> Bool {
        octet > 127 || octet == UInt8(ascii: "-") || letterDigit.contains(octet)
    }

    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`; no other tag is registered (RFC 5321 section 4.1.3).
    private static func literal(_ bytes: Span<UInt8>, _ index: inout Int) throws(AddressFault) {
        let start = index + 1
        // The longest IPv6 form takes 45 octets; reading on would only look for a bracket that cannot help.
        while index < bytes.count, bytes[index] != UInt8(ascii: "]") {
            guard bytes[index] > 32, bytes[index] < 127, index - start < 64 else { throw .syntax }
            index += 1
        }
        guard index < bytes.count else { throw .syntax }
        let inside = try text(bytes, start..<index).text
        index += 1
        if inside.utf8.count > 5, inside.prefix(5).lowercased() == "ipv6:" {
            guard let address = IPAddress(inside.dropFirst(5)), inside.dropFirst(5).contains(":"),
                !address.isIPv4 || inside.contains(".")
            else { throw .syntax }
        } else {
            guard let address = IPAddress(inside), address.isIPv4, !inside.contains(":") else { throw .syntax }
        }
    }

    private static func hasNonASCII(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where bytes[index] > 127 { return true }
        return false
    }

    private static func text(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(AddressFault) -> (text: String, nonASCII: Bool) {
        let text = bytes.extracting(range).withUnsafeBufferPointer { String(validating: $0, as: UTF8.self) }
        guard let text else { throw .notUTF8 }
        return (text, hasNonASCII(bytes, range))
    }

    private static func lowercased(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(AddressFault) -> (text: String, nonASCII: Bool) {
        if hasNonASCII(bytes, range) { return (try text(bytes, range).text.lowercased(), true) }
        let text = String(unsafeUninitializedCapacity: range.count) { output in
            for (target, source) in range.enumerated() {
                let octet = bytes[source]
                output[target] = (65...90).contains(octet) ? octet | 32 : octet
            }
            return range.count
        }
        return (text, false)
    }
}

extension Address {
    /// Reads a whole text as one mailbox, as a configuration or a command line names it.
    package init(parsing text: String) throws(AddressFault) {
        let octets = Array(text.utf8)
        var index = 0
        let (address, _) = try AddressGrammar.mailbox(octets.span, &index)
        guard index == octets.count else { throw .syntax }
        self = address
    }
}
