import Mail

/// How the words of a reply are made comparable: lower case, no accents, single spaces, no echo of addresses.
enum ReplyText {
    /// What is read of a reply, in bytes; longer ones say nothing more.
    static let limit = 4_096

    /// Words without what makes no difference: case, accents, more than one space, the form of quotation marks.
    static func normalize(_ text: String) -> [UInt8] {
        words(text, ofReply: false)
    }

    /// The words of a reply as if they stood on one line: receivers break lines within a phrase, and repeat the
    /// enhanced status at the head of each line (RFC 2034 section 4). E-mail addresses become `@`, since they are an
    /// echo, and IP addresses `0.0.0.0`; the dots and hyphens of host names are those of ``HostMark``.
    static func words(of reply: Reply) -> [UInt8] {
        words(reply.text, ofReply: true)
    }

    private static func words(_ text: String, ofReply: Bool) -> [UInt8] {
        var text = text
        return text.withUTF8 { bytes in
            let length = min(bytes.count, limit)
            let bytes = UnsafeBufferPointer(rebasing: bytes[..<length])
            return [UInt8](unsafeUninitializedCapacity: length) { output, count in
                var writer = Writer(output: output)
                plainBytes.withUnsafeBufferPointer { plain in
                    var index = 0
                    while index < length {
                        let letter = plain[Int(bytes[index])]
                        if letter != 0 {
                            writer.add(letter)
                            index &+= 1
                        } else {
                            index = read(bytes, at: index, ofReply: ofReply, into: &writer)
                        }
                    }
                }
                count = writer.count
                guard ofReply else { return }
                count = AddressMask.mask(output, count: count)
                HostMark.mark(output, count: count)
            }
        }
    }

    /// What stands for an ASCII byte wherever it stands; 0 for those that ``read(_:at:ofReply:into:)`` looks at.
    private static let plainBytes: [UInt8] = (UInt8.min...UInt8.max).map { byte in
        switch byte {
        case 0, 9...13, 32, UInt8(ascii: "@"), 128...: 0
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 32
        case UInt8(ascii: "\""), UInt8(ascii: "`"): UInt8(ascii: "'")
        case HostMark.dot, HostMark.hyphen: UInt8(ascii: ",")
        default: byte
        }
    }

    /// Reads white space, `@`, and what is not ASCII; returns where to go on.
    private static func read(
        _ bytes: UnsafeBufferPointer<UInt8>, at start: Int, ofReply: Bool, into writer: inout Writer
    ) -> Int {
        let byte = bytes[start]
        var index = start + 1
        if byte == 32 || byte &- 9 < 5 {
            writer.space()
            if byte == 10, ofReply {
                // A code takes eleven bytes at most, 5.999.999 and what must follow it.
                let head = UnsafeBufferPointer(rebasing: bytes[index..<min(index + 11, bytes.count)])
                index += EnhancedStatus.leading(head.span)?.length ?? 0
            }
        } else if byte == UInt8(ascii: "@"), ofReply {
            writer.dropAddress()
            while index < bytes.count, isDomainByte(bytes[index]) { index += 1 }
            writer.add(byte)
        } else if let (letters, width) = Letters.plain(bytes, at: start, end: bytes.count) {
            writer.add(letters)
            index += width - 1
        } else {
            writer.add(byte)
        }
        return index
    }

    private static func isDomainByte(_ byte: UInt8) -> Bool {
        isWordByte(byte | 32) || byte &- 48 < 10 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
    }

    /// What is written never takes more bytes than what was read.
    private struct Writer {
        let output: UnsafeMutableBufferPointer<UInt8>
        var count = 0

        mutating func add(_ byte: UInt8) {
            output.initializeElement(at: count, to: byte)
            count += 1
        }

        mutating func add(_ letters: (UInt8, UInt8)) {
            add(letters.0)
            if letters.1 != 0 { add(letters.1) }
        }

        mutating func space() {
            if count == 0 || output[count - 1] != 32 { add(32) }
        }

        /// Takes back what was written of an address's local part.
        mutating func dropAddress() {
            while count > 0 {
                switch output[count - 1] {
                case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "="), UInt8(ascii: "%"):
                    break
                case let byte where isWordByte(byte): break
                default: return
                }
                count -= 1
            }
        }
    }

    /// Letters, digits, `_` and every byte of a non-ASCII letter make up words.
    @inline(__always)
    static func isWordByte(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "_") || byte >= 128
    }

    /// By how much a byte moves the count of words: 1 at a space, and so far at the end of a sentence that nothing in
    /// the next one is near.
    @inline(__always)
    static func advance(_ byte: UInt8, after before: UInt8) -> Int32 {
        guard byte == 32 else { return 0 }
        switch before {
        case UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: ";"):
            return Int32(ReplyPattern.nearWords + 2)
        default: return 1
        }
    }
}
