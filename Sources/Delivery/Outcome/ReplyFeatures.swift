/// What a reply is weighed by: its words and pairs of neighbouring words, beginnings of long words, and labels of host
/// names, each as a hash of how it is written in the table of weights.
///
///     blocked        a word of letters; those with digits in them are ids
///     ip blocked     a word and the one before it, whatever stands between them
///     block~         the first five letters of a longer word, which its endings share
///     .spamhaus      a label of a host name; the name as a whole is the word `host.`
///     0.0.0.0  @     any IP or e-mail address, words as well
struct ReplyFeatures {
    private let found: (UInt64) -> Bool
    /// The hash of the word before and a space; nil at the beginning.
    private var before: UInt64?
    private var known = 0

    private static let stem = 5
    private static let zero = UInt8(ascii: "0")

    /// Calls `found` for each, in one pass over what ``ReplyText/words(of:)`` made.
    ///
    /// - Parameter found: tells whether a feature is known and was not found before.
    /// - Returns: how many words are known, by themselves or by their beginnings.
    static func each(of words: [UInt8], _ found: (UInt64) -> Bool) -> Int {
        withoutActuallyEscaping(found) { found in
            words.withUnsafeBufferPointer { text in
                var features = ReplyFeatures(found: found)
                var index = 0
                while index < text.count { index = features.read(text, at: index) }
                return features.known
            }
        }
    }

    static func hash(_ text: some Sequence<UInt8>) -> UInt64 {
        text.reduce(start) { next($0, $1) }
    }

    /// FNV-1a, 64 bits: short, and the same everywhere.
    private static let start: UInt64 = 0xCBF2_9CE4_8422_2325

    @inline(__always)
    private static func next(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
        (hash ^ UInt64(byte)) &* 0x100_0000_01B3
    }

    private init(found: @escaping (UInt64) -> Bool) {
        self.found = found
    }

    /// Returns where to go on.
    private mutating func read(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Int {
        let byte = text[start]
        if byte == UInt8(ascii: "@") {
            add("@")
            return start + 1
        }
        if byte == Self.zero, text[start...].starts(with: "0.0.0.0".utf8) {
            add("0.0.0.0")
            return start + 7
        }
        guard Self.isLetter(byte) || Self.isDigit(byte) else { return start + 1 }
        return word(text, at: start)
    }

    private mutating func word(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Int {
        var (own, stem, both) = (Self.start, Self.start, before)
        var letters = 0
        var hasDigit = false
        var end = start
        while end < text.count, Self.isLetter(text[end]) || Self.isDigit(text[end]) {
            let byte = text[end]
            hasDigit = hasDigit || Self.isDigit(byte)
            // Bytes that go on a letter beyond ASCII are not counted.
            if byte & 0xC0 != 0x80 {
                if letters == Self.stem { stem = own }
                letters += 1
            }
            own = Self.next(own, byte)
            both = both.map { Self.next($0, byte) }
            end += 1
        }
        let isBegun = start > 0 && ReplyText.HostMark.isMark(text[start - 1])
        let goesOn = end < text.count && ReplyText.HostMark.isMark(text[end])
        if isBegun || goesOn {
            if !hasDigit { count(found(text[start..<end].reduce(Self.hash(".".utf8)) { Self.next($0, $1) })) }
            if !goesOn { add("host.") }
        } else if !hasDigit {
            let isKnown = found(own)
            let hasKnownStem = letters > Self.stem && found(Self.next(stem, UInt8(ascii: "~")))
            count(isKnown || hasKnownStem)
            if let both { _ = found(both) }
            before = Self.next(own, UInt8(ascii: " "))
        }
        return end
    }

    private mutating func count(_ isKnown: Bool) {
        known += isKnown ? 1 : 0
    }

    private mutating func add(_ word: StaticString) {
        word.withUTF8Buffer { bytes in
            let own = Self.hash(bytes)
            count(found(own))
            if let before { _ = found(bytes.reduce(before) { Self.next($0, $1) }) }
            before = Self.next(own, UInt8(ascii: " "))
        }
    }

    @inline(__always)
    private static func isLetter(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "a") < 26 || byte >= 128 }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}
