import Mail

/// A reply without what differs from one to the next: addresses, hosts, numbers and ids.
///
///     550 5.7.1 <b@example.com>: rejected by mx7.example.com, id 4A0C19
///     550 5.7.1 <address>: rejected by host, id #
struct ReplyShape: Codable, Hashable, Sendable, CustomStringConvertible {
    /// Code, enhanced status and words.
    let description: String

    /// Words that are read, and characters that are kept.
    private static let words = 60
    private static let limit = 300

    init(of reply: Reply) {
        var shape = String(reply.code)
        if let enhanced = reply.enhanced { shape += " \(enhanced)" }
        for word in reply.text.prefix(4_096).split(whereSeparator: \.isWhitespace).prefix(Self.words) {
            let next = Self.shape(of: word)
            // An id that is spelt in several words is one.
            if next != "#" || !shape.hasSuffix(" #") { shape += " " + next }
            if shape.count >= Self.limit { break }
        }
        description = String(shape.prefix(Self.limit))
    }

    init(from decoder: any Decoder) throws {
        description = try decoder.singleValueContainer().decode(String.self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// The marks around a word stay: they belong to the phrase.
    private static func shape(of word: Substring) -> String {
        let marks = "<>()[]{},;:!?\"'"
        let head = word.prefix { marks.contains($0) }
        let rest = word.dropFirst(head.count)
        let core = rest.prefix { !"<>()[]{},;!?\"'".contains($0) }
        let tail = rest.dropFirst(core.count)
        return String(head) + mask(core) + String(tail.prefix { marks.contains($0) })
    }

    private static func mask(_ word: Substring) -> String {
        if word.contains("@") { return word.hasSuffix(":") ? "address:" : "address" }
        if let scheme = word.firstRange(of: "://") {
            return word[..<scheme.upperBound] + String(word[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" })
        }
        let letters = word.utf8.count { $0 | 32 >= 97 && $0 | 32 <= 122 }
        let digits = word.utf8.count { $0 >= 48 && $0 <= 57 }
        let dots = word.utf8.dropLast().count { $0 == 46 }
        let signs = word.utf8.count { $0 == 45 || $0 == 58 }
        if letters > 0, dots > 0, digits + dots + letters + signs == word.utf8.count {
            return word.hasSuffix(":") ? "host:" : "host"
        }
        guard digits > 0 else { return String(word) }
        // Names of errors have a few digits (IB103, S3150, AUP#1310), ids have many or are long.
        if letters > 0, word.utf8.count <= 12, digits <= 4 { return String(word) }
        return "#"
    }
}
