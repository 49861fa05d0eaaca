extension ReplyText {
    /// Letters beyond ASCII: without accents where they are Latin, in lower case where they are Cyrillic.
    enum Letters {
        /// U+00C0 to U+017F without their accents.
        private static let latin = Array(
            ("aaaaaaaceeeeiiiidnoooooxouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty"
                + "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
                + "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs").utf8)

        /// What stands for the character of two or three bytes at `index`: one or two bytes (0 for none), and how many
        /// were read; nil where the bytes stay as they are.
        static func plain(
            _ bytes: UnsafeBufferPointer<UInt8>, at index: Int, end: Int
        ) -> (letters: (UInt8, UInt8), width: Int)? {
            guard index + 1 < end else { return nil }
            let (first, second) = (bytes[index], bytes[index + 1])
            guard second & 0xC0 == 0x80 else { return nil }
            let low = second & 0x3F
            switch first {
            // A space that does not break.
            case 0xC2: return second == 0xA0 ? ((32, 0), 2) : nil
            case 0xC3...0xC5: return (latin(Int(first - 0xC3) * 64 + Int(low)), 2)
            // Capitals А to П and Р to Я, and Ё and ё, which are often written as е.
            case 0xD0 where second == 0x81: return ((0xD0, 0xB5), 2)
            case 0xD0 where (0x90...0x9F).contains(second): return ((0xD0, second + 0x20), 2)
            case 0xD0 where (0xA0...0xAF).contains(second): return ((0xD1, second - 0x20), 2)
            case 0xD1 where second == 0x91: return ((0xD0, 0xB5), 2)
            // Typographic apostrophes.
            case 0xE2 where second == 0x80 && index + 2 < end && (0x98...0x9D).contains(bytes[index + 2]):
                return ((UInt8(ascii: "'"), 0), 3)
            default: return nil
            }
        }

        private static func latin(_ number: Int) -> (UInt8, UInt8) {
            switch number {
            // ß, Æ, æ, Œ, œ
            case 0x1F: (UInt8(ascii: "s"), UInt8(ascii: "s"))
            case 0x06, 0x26: (UInt8(ascii: "a"), UInt8(ascii: "e"))
            case 0x92, 0x93: (UInt8(ascii: "o"), UInt8(ascii: "e"))
            default: (latin[number], 0)
            }
        }
    }

    /// Puts `0.0.0.0` in place of IP addresses: one pattern reads replies about any of them.
    enum AddressMask {
        private static let sign = Array("0.0.0.0".utf8)

        /// Works in place, since no address that is masked is shorter than its mask; returns what is left of `count`.
        static func mask(_ text: UnsafeMutableBufferPointer<UInt8>, count: Int) -> Int {
            var written = 0
            var index = 0
            var mayFollow = true
            kinds.withUnsafeBufferPointer { kinds in
                while index < count {
                    let byte = text[index]
                    let kind = kinds[Int(byte)]
                    if mayFollow, kind & begins != 0 {
                        let length = length(of: text, at: index, count: count)
                        if length >= sign.count {
                            for letter in sign {
                                text[written] = letter
                                written += 1
                            }
                            index += length
                            mayFollow = false
                            continue
                        }
                    }
                    // Dots in a row end a sentence: "denied...192.0.2.7".
                    mayFollow = kind & goesOn == 0 || byte == dot && written > 0 && text[written &- 1] == dot
                    text[written] = byte
                    written &+= 1
                    index &+= 1
                }
            }
            return written
        }

        private static let dot = UInt8(ascii: ".")
        private static let begins: UInt8 = 1
        /// Bytes after which no address begins: the rest of a word or of a number with dots.
        private static let goesOn: UInt8 = 2
        private static let kinds: [UInt8] = (UInt8.min...UInt8.max).map { byte in
            (mayBegin(byte) ? begins : 0) | (ReplyText.isWordByte(byte) || byte == UInt8(ascii: ".") ? goesOn : 0)
        }

        /// Digits, hexadecimal letters and colons; `x` stands for a digit in examples.
        private static func mayBegin(_ byte: UInt8) -> Bool {
            byte &- 48 < 11 || byte &- UInt8(ascii: "a") < 6 || byte == UInt8(ascii: "x")
        }

        /// Of the address that begins at `index`; 0 where none does.
        private static func length(of text: UnsafeMutableBufferPointer<UInt8>, at index: Int, count: Int) -> Int {
            let four = ipv4(text, at: index, count: count)
            return four > 0 ? four : ipv6(text, at: index, count: count)
        }

        private static func ipv4(_ text: UnsafeMutableBufferPointer<UInt8>, at start: Int, count: Int) -> Int {
            var index = start
            for part in 0..<4 {
                if part > 0 {
                    guard index < count, text[index] == UInt8(ascii: ".") else { return 0 }
                    index += 1
                }
                let first = index
                while index < count, index - first < 3, text[index] &- 48 < 10 || text[index] == UInt8(ascii: "x") {
                    index += 1
                }
                guard index > first else { return 0 }
            }
            return index < count && ReplyText.isWordByte(text[index]) ? 0 : index - start
        }

        /// Hexadecimal digits with `::` or five colons among them (RFC 4291 section 2.2); 45 bytes at most.
        private static func ipv6(_ text: UnsafeMutableBufferPointer<UInt8>, at start: Int, count: Int) -> Int {
            var index = start
            var colons = 0
            var isDouble = false
            while index < count, index - start < 45 {
                let byte = text[index]
                if byte == UInt8(ascii: ":") {
                    colons += 1
                    isDouble = isDouble || (index > start && text[index - 1] == byte)
                } else if !(byte &- 48 < 10 || byte &- UInt8(ascii: "a") < 6 || byte == UInt8(ascii: ".")) {
                    break
                }
                index += 1
            }
            guard isDouble || colons >= 5 else { return 0 }
            while index > start, text[index - 1] == UInt8(ascii: ".") || text[index - 1] == UInt8(ascii: ":") {
                index -= 1
            }
            return index < count && ReplyText.isWordByte(text[index]) ? 0 : index - start
        }
    }
}
