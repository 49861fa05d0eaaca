/// What the text of a reply must hold: literal fragments in order, with anything between them.
///
///     blocked using * spamhaus          two fragments in order
///     (ip|address) * (listed|blocked)   any of the first, then any of the second
///     mailbox (is |)full                choices within a fragment
///     greylist~                         the word may go on: greylisted, greylisting
///
/// Upper and lower case are one (ASCII only), and so are a space, several of them and a line break. A fragment begins
/// and ends at the edge of a word unless `~` stands there. There is no way to write `(`, `)`, `|`, `*` or `~`
/// themselves.
struct ReplyPattern: Hashable, Sendable {
    struct Fragment: Hashable, Sendable {
        /// Lower-case, single spaces, at least one byte.
        let bytes: [UInt8]
        /// The word may begin before it, or go on after it.
        let openStart: Bool
        let openEnd: Bool
    }

    /// At each place the fragments of which one must stand there; at least one place, at least one fragment each.
    let places: [[Fragment]]

    /// Fragments that one place may stand for; enough for two groups of a dozen.
    static let expansionLimit = 256

    struct SyntaxError: Error {
        let problem: String
    }

    init(_ text: String) throws(SyntaxError) {
        var places: [[Fragment]] = []
        for part in Self.parts(text) where part.contains(where: { $0 != " " }) {
            var fragments: [Fragment] = []
            for choice in try Self.expand(part) {
                fragments.append(try Self.fragment(choice, of: text))
            }
            places.append(fragments)
        }
        guard !places.isEmpty else { throw SyntaxError(problem: "pattern \"\(text)\" is empty") }
        self.places = places
    }

    /// What stands between the gaps; a `*` within a group is left for ``fragment(_:of:)`` to refuse.
    private static func parts(_ text: String) -> [String] {
        var parts = [""]
        var inGroup = false
        for character in text {
            if character == "(" { inGroup = true }
            if character == ")" { inGroup = false }
            if character == "*", !inGroup { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }

    /// Every choice among the alternatives.
    private static func expand(_ text: String) throws(SyntaxError) -> [String] {
        var texts = [""]
        var rest = text[...]
        while let open = rest.firstIndex(of: "(") {
            let before = rest[..<open]
            guard let close = rest[open...].firstIndex(of: ")") else {
                throw SyntaxError(problem: "pattern \"\(text)\" has ( without )")
            }
            let choices = rest[rest.index(after: open)..<close].split(separator: "|", omittingEmptySubsequences: false)
            guard !before.contains(where: { $0 == ")" || $0 == "|" }), !choices.contains(where: { $0.contains("(") })
            else { throw SyntaxError(problem: "pattern \"\(text)\": groups do not nest, | belongs into ( )") }
            guard texts.count * choices.count <= expansionLimit else {
                throw SyntaxError(problem: "pattern \"\(text)\" stands for more than \(expansionLimit)")
            }
            texts = texts.flatMap { head in choices.map { head + before + $0 } }
            rest = rest[rest.index(after: close)...]
        }
        guard !rest.contains(where: { $0 == ")" || $0 == "|" }) else {
            throw SyntaxError(problem: "pattern \"\(text)\" has ) or | outside ( )")
        }
        return texts.map { $0 + rest }
    }

    private static func fragment(_ choice: String, of text: String) throws(SyntaxError) -> Fragment {
        var words = ReplyText.normalize(choice)
        if words.first == 32 { words.removeFirst() }
        if words.last == 32 { words.removeLast() }
        let tilde = UInt8(ascii: "~")
        let start = words.first == tilde
        let end = words.count > 1 && words.last == tilde
        if start { words.removeFirst() }
        if end { words.removeLast() }
        guard !words.isEmpty, !words.contains(tilde), !words.contains(UInt8(ascii: "*")) else {
            let rule = "a fragment is not empty, ~ stands at its ends only, and * outside of ( )"
            throw SyntaxError(problem: "pattern \"\(text)\": \(rule)")
        }
        return Fragment(bytes: words, openStart: start, openEnd: end)
    }
}
