/// The encoding that lets any text stand in a parameter of MAIL and RCPT (RFC 3461 section 4): `+` and two upper-case
/// hexadecimal digits for an octet.
package enum Xtext {
    /// What the octets stand for.
    ///
    /// - Returns: nil when they are not xtext, or stand for anything but printable US-ASCII: a control character in a
    ///   notice's fields could end them.
    package static func decode(_ text: some Collection<UInt8>) -> String? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            var octet = text[index]
            index = text.index(after: index)
            if octet == UInt8(ascii: "+") {
                guard let high = digit(text, &index), let low = digit(text, &index) else { return nil }
                octet = high << 4 | low
            } else if octet == UInt8(ascii: "=") || octet == 32 {
                return nil
            }
            guard (32...126).contains(octet) else { return nil }
            decoded.append(octet)
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// A scalar as it is, or as `\x{E9}` where it is not US-ASCII (RFC 6533 section 3).
    package static func escaped(_ scalar: Unicode.Scalar) -> String {
        scalar.isASCII ? String(scalar) : "\\x{\(String(scalar.value, radix: 16, uppercase: true))}"
    }

    private static func digit<Text: Collection<UInt8>>(_ text: Text, _ index: inout Text.Index) -> UInt8? {
        guard index < text.endIndex else { return nil }
        let octet = text[index]
        index = text.index(after: index)
        switch octet {
        case 48...57: return octet - 48
        case 65...70: return octet - 55
        default: return nil
        }
    }
}
