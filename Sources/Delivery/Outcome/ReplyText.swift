import Mail

/// How the words of a reply are made comparable.
enum ReplyText {
    /// What is read of a reply, in bytes; longer ones say nothing more.
    static let limit = 8_192

    /// ASCII letters in lower case, each run of white space as one space.
    static func normalize(_ text: String) -> [UInt8] {
        words(text, skippingStatus: false)
    }

    /// The words of a reply as if they stood on one line: receivers break lines within a phrase, and repeat the
    /// enhanced status at the head of each line (RFC 2034 section 4).
    static func words(of reply: Reply) -> [UInt8] {
        words(reply.text, skippingStatus: true)
    }

    private static func words(_ text: String, skippingStatus: Bool) -> [UInt8] {
        var text = text
        return text.withUTF8 { bytes in
            let length = min(bytes.count, limit)
            return [UInt8](unsafeUninitializedCapacity: length) { words, count in
                var index = 0
                while index < length {
                    let byte = bytes[index]
                    index += 1
                    if byte == 32 || byte &- 9 < 5 {
                        if count == 0 || words[count - 1] != 32 {
                            words[count] = 32
                            count += 1
                        }
                        if byte == 10, skippingStatus {
                            // A code takes eleven bytes at most, 5.999.999 and what must follow it.
                            let head = UnsafeBufferPointer(rebasing: bytes[index..<min(index + 11, length)])
                            index += EnhancedStatus.leading(head.span)?.length ?? 0
                        }
                    } else {
                        words[count] = byte &- UInt8(ascii: "A") < 26 ? byte | 32 : byte
                        count += 1
                    }
                }
            }
        }
    }

    /// Letters, digits, `_` and every byte of a non-ASCII letter make up words.
    static func isWordByte(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "_") || byte >= 128
    }

    /// The wait that a reply names, such as `in 5 minutes`, `for 60 seconds` or `in 00:05:00`; 1 s to 24 h, else nil.
    static func namedWait(_ words: [UInt8]) -> Timestamp.Span? {
        let tokens = words.split { !isWordByte($0) && $0 != UInt8(ascii: ":") }
        for (index, token) in tokens.enumerated() {
            let parts = token.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map(number)
            var seconds: Int64?
            if parts.count == 3, let hours = parts[0], let minutes = parts[1], let rest = parts[2] {
                seconds = hours * 3_600 + minutes * 60 + rest
            } else if parts.count == 1, let count = parts[0], index + 1 < tokens.count,
                let unit = unit(tokens[index + 1])
            {
                seconds = count * unit
            }
            if let seconds, (1...86_400).contains(seconds) { return .seconds(seconds) }
        }
        return nil
    }

    /// One to five digits; nil otherwise.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard (1...5).contains(digits.count) else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard (48...57).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 48)
        }
        return value
    }

    private static func unit(_ name: ArraySlice<UInt8>) -> Int64? {
        switch String(decoding: name, as: UTF8.self) {
        case "s", "sec", "secs", "second", "seconds": 1
        case "m", "min", "mins", "minute", "minutes": 60
        case "h", "hour", "hours": 3_600
        default: nil
        }
    }
}
