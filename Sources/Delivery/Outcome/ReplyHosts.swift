extension ReplyText {
    /// Tells the dots and hyphens of host names from those of sentences: a label such as `blocked` in
    /// `mail.blocked.example` is a name, not a word.
    enum HostMark {
        /// What stands for `.` and `-` in a host name. Neither is left in what a receiver said.
        static let dot: UInt8 = 0x1E
        static let hyphen: UInt8 = 0x1F

        /// The longest part of a label that is looked at on either side of a word, so that one long word costs no more
        /// than its length.
        private static let reach = 32

        /// Works in place, in one pass.
        static func mark(_ text: UnsafeMutableBufferPointer<UInt8>, count: Int) {
            var start = 0
            var dots = 0
            for index in 0..<count {
                let byte = text[index]
                if isNameByte(byte) { continue }
                if byte == UInt8(ascii: ".") {
                    if index > start {
                        dots += 1
                        if text[index - 1] != byte { continue }
                    }
                }
                if dots > 0 { markName(text, start..<index) }
                start = index + 1
                dots = 0
            }
            if dots > 0 { markName(text, start..<count) }
        }

        /// Whether what stands at a place is the label of a host name, or a part of one.
        @inline(__always)
        static func isLabel(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
            var index = start
            while index > 0, start - index < reach, isWordByte(text[index &- 1]) { index &-= 1 }
            if index > 0, isMark(text[index &- 1]) { return true }
            index = end
            while index < text.count, index - end < reach, isWordByte(text[index]) { index &+= 1 }
            return index < text.count && isMark(text[index])
        }

        /// The byte that a pattern calls it by.
        @inline(__always)
        static func plain(_ byte: UInt8) -> UInt8 {
            if byte == dot { return UInt8(ascii: ".") }
            return byte == hyphen ? UInt8(ascii: "-") : byte
        }

        @inline(__always)
        static func isMark(_ byte: UInt8) -> Bool { byte == dot || byte == hyphen }

        @inline(__always)
        private static func isNameByte(_ byte: UInt8) -> Bool { isWordByte(byte) || byte == UInt8(ascii: "-") }

        private static func markName(_ text: UnsafeMutableBufferPointer<UInt8>, _ token: Range<Int>) {
            var end = token.upperBound
            while end > token.lowerBound, text[end - 1] == UInt8(ascii: ".") || text[end - 1] == UInt8(ascii: "-") {
                end -= 1
            }
            guard isName(text, token.lowerBound..<end) else { return }
            for index in token.lowerBound..<end {
                if text[index] == UInt8(ascii: ".") { text[index] = dot }
                if text[index] == UInt8(ascii: "-") { text[index] = hyphen }
            }
        }

        /// Three labels or more, or two of which the last is known to end names: receivers forget the space between
        /// sentences.
        private static func isName(_ text: UnsafeMutableBufferPointer<UInt8>, _ token: Range<Int>) -> Bool {
            var last = token.upperBound
            while last > token.lowerBound, text[last - 1] != UInt8(ascii: ".") {
                last -= 1
                guard text[last] &- UInt8(ascii: "a") < 26 || text[last] == UInt8(ascii: "-") else { return false }
            }
            guard last > token.lowerBound, token.upperBound - last >= 2 else { return false }
            if text[token.lowerBound..<last - 1].contains(UInt8(ascii: ".")) { return true }
            let label = text[last..<token.upperBound]
            if label.count == 2 { return !shortWords.contains { label.elementsEqual($0) } }
            return endings.contains { label.elementsEqual($0) }
        }

        private static let endings = [
            "com", "net", "org", "info", "biz", "edu", "gov", "mil", "int", "arpa", "example", "test", "invalid",
            "local", "lan", "cloud", "online",
        ].map { Array($0.utf8) }

        /// Words of two letters, in the languages of receivers, which begin a sentence more often than they end a name.
        private static let shortWords = [
            "am", "an", "as", "at", "be", "by", "da", "de", "do", "du", "el", "en", "er", "es", "go", "he", "id", "if",
            "il", "im", "in", "ip", "is", "it", "la", "le", "lo", "me", "my", "no", "of", "on", "or", "se", "si", "so",
            "to", "tu", "un", "up", "us", "we", "wo", "za", "ze", "zu",
        ].map { Array($0.utf8) }
    }
}
