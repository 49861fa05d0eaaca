package import NIOCore

/// Encodings that keep mail to lines of printable US-ASCII.
extension ByteBuffer {
    /// Writes text as quoted-printable (RFC 2045 section 6.7): lines end in CRLF and have at most 76 octets.
    ///
    /// - Parameter text: its lines end in CRLF or LF; any other CR is encoded.
    package mutating func writeQuotedPrintable(_ text: some Sequence<UInt8>) {
        var column = 0
        var held: UInt8?
        var iterator = text.makeIterator()
        var next = iterator.next()
        while let octet = next {
            next = iterator.next()
            if octet == 10 || (octet == 13 && next == 10) {
                // White space before the end of a line would be lost on the way.
                if let space = held { writeEncoded(space, &column) }
                held = nil
                if octet == 13 { next = iterator.next() }
                writeStaticString("\r\n")
                column = 0
                continue
            }
            if let space = held { writePlain(space, &column) }
            held = nil
            if octet == 32 || octet == 9 {
                held = octet
            } else if octet > 32, octet < 127, octet != UInt8(ascii: "="),
                !(column == 0 && (octet == UInt8(ascii: ".") || octet == UInt8(ascii: "F")))
            {
                writePlain(octet, &column)
            } else {
                writeEncoded(octet, &column)
            }
        }
        if let space = held { writeEncoded(space, &column) }
    }

    private mutating func writePlain(_ octet: UInt8, _ column: inout Int) {
        breakSoftly(before: 1, &column)
        writeInteger(octet)
        column += 1
    }

    private mutating func writeEncoded(_ octet: UInt8, _ column: inout Int) {
        breakSoftly(before: 3, &column)
        writeInteger(UInt8(ascii: "="))
        writeHex(octet)
        column += 3
    }

    private mutating func breakSoftly(before width: Int, _ column: inout Int) {
        guard column + width > 75 else { return }
        writeStaticString("=\r\n")
        column = 0
    }

    private mutating func writeHex(_ octet: UInt8) {
        for digit in [octet >> 4, octet & 15] { writeInteger(digit < 10 ? digit + 48 : digit + 55) }
    }

    /// Writes text for a header field: as it is where it is printable US-ASCII, else in encoded words (RFC 2047 section
    /// 4.2), each whole scalars and at most 75 octets. Lines are folded.
    package mutating func writeUnstructured(_ text: String, column: Int) {
        guard !text.utf8.allSatisfy({ (32...126).contains($0) }) else { return writeFolded(text, column: column) }
        var word: [UInt8] = []
        var first = true
        func flush(_ buffer: inout ByteBuffer) {
            guard !word.isEmpty else { return }
            if !first { buffer.writeStaticString("\r\n ") }
            buffer.writeStaticString("=?utf-8?Q?")
            buffer.writeBytes(word)
            buffer.writeStaticString("?=")
            word.removeAll()
            first = false
        }
        for scalar in text.unicodeScalars {
            var encoded: [UInt8] = []
            for octet in String(scalar).utf8 {
                if (48...57).contains(octet) || (65...90).contains(octet & 0xDF) && octet < 128 {
                    encoded.append(octet)
                } else if octet == 32 {
                    encoded.append(UInt8(ascii: "_"))
                } else {
                    encoded += Array("=\(octet < 16 ? "0" : "")\(String(octet, radix: 16, uppercase: true))".utf8)
                }
            }
            // 12 octets frame a word; the first shares its line with the field's name.
            if word.count + encoded.count > (first ? max(12, 63 - column) : 63) { flush(&self) }
            word += encoded
        }
        flush(&self)
    }

    /// Writes printable US-ASCII, folded at spaces (RFC 5322 section 2.2.3); what has none for long is broken all the
    /// same, so that no line comes near 998 octets.
    ///
    /// - Parameter column: where on its line it begins.
    package mutating func writeFolded(_ text: String, column: Int) {
        var column = column
        for (index, word) in text.utf8.split(separator: 32).enumerated() {
            var rest = word[...]
            if index > 0 {
                if column + 1 + rest.count > 76 {
                    writeStaticString("\r\n")
                    column = 0
                }
                writeStaticString(" ")
                column += 1
            }
            while column + rest.count > 500 {
                writeBytes(rest.prefix(400))
                rest = rest.dropFirst(400)
                writeStaticString("\r\n ")
                column = 1
            }
            writeBytes(rest)
            column += rest.count
        }
    }
}
