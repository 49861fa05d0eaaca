/// What the text of a reply must hold: literal fragments in order.
///
///     blocked using * spamhaus          two fragments in order, with anything between them
///     no ... mailbox                    with at most five words of the same sentence between them
///     (ip|address) * (listed|blocked)   any of the first, then any of the second
///     {user} ... {unknown}              the same with lists of words that the file names
///     mailbox (is |)full                choices within a fragment
///     greylist~                         the word may go on: greylisted, greylisting
///     0.0.0.0                           any IP address
///
/// Upper and lower case are one, and so are letters with and without accents, and a space, several of them and a line
/// break. A fragment begins and ends at the edge of a word unless `~` stands there. There is no way to write `(`, `)`,
/// `{`, `}`, `|`, `*`, `~` or `...` themselves.
struct ReplyPattern: Hashable, Sendable {
    struct Fragment: Hashable, Sendable {
        /// As ``ReplyText/normalize(_:)`` makes it, at least one byte.
        let bytes: [UInt8]
        /// The word may begin before it, or go on after it.
        let openStart: Bool
        let openEnd: Bool
    }

    /// What may stand before a place, after the one before it.
    enum Gap: Hashable, Sendable {
        case any
        /// At most ``nearWords`` words of the same sentence.
        case near
        /// Nothing: it is the next word.
        case next
    }

    struct Place: Hashable, Sendable {
        let gap: Gap
        /// Of which one must stand there; at least one.
        let fragments: [Fragment]
    }

    /// At least one.
    let places: [Place]

    static let nearWords = 5
    /// Fragments that one place may stand for; enough for the longest list of words.
    static let expansionLimit = 512

    struct SyntaxError: Error {
        let problem: String
    }

    /// - Parameter lists: what `{name}` stands for, by name.
    init(_ text: String, lists: [String: [String]] = [:]) throws(SyntaxError) {
        var places: [Place] = []
        for (gap, part) in Self.parts(try Self.filledIn(text, lists)) {
            var fragments: [Fragment] = []
            for choice in try Self.expand(part, of: text) {
                let fragment = try Self.fragment(choice, of: text)
                if !fragments.contains(fragment) { fragments.append(fragment) }
            }
            places.append(Place(gap: gap, fragments: fragments))
        }
        guard !places.isEmpty else { throw SyntaxError(problem: "pattern \"\(text)\" is empty") }
        self.places = places
    }

    /// With a group in place of each `{name}`.
    private static func filledIn(_ text: String, _ lists: [String: [String]]) throws(SyntaxError) -> String {
        guard text.contains("{") || text.contains("}") else { return text }
        var filled = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else { break }
            let name = String(rest[rest.index(after: open)..<close])
            guard let words = lists[name] else {
                throw SyntaxError(problem: "pattern \"\(text)\": there is no list {\(name)}")
            }
            filled += "\(rest[..<open])(\(words.joined(separator: "|")))"
            rest = rest[rest.index(after: close)...]
        }
        guard !rest.contains(where: { $0 == "{" || $0 == "}" }) else {
            throw SyntaxError(problem: "pattern \"\(text)\" has { or } alone")
        }
        return filled + rest
    }

    /// What stands between the gaps. A group next to a space is a place of its own, so that two groups in a row need no
    /// fragment for each pair; signs within a group are left for ``fragment(_:of:)`` to refuse.
    private static func parts(_ text: String) -> [(Gap, String)] {
        var parts: [(Gap, String)] = []
        var part = ""
        var gap = Gap.any
        var inGroup = false
        func end(_ next: Gap) {
            if part.contains(where: { $0 != " " }) {
                parts.append((gap, part))
                gap = next
            } else if next != .next {
                gap = next
            }
            part = ""
        }
        var rest = text[...]
        while let character = rest.first {
            rest.removeFirst()
            if character == "(" { inGroup = true }
            if character == ")" { inGroup = false }
            if inGroup {
                part.append(character)
            } else if character == "*" {
                end(.any)
            } else if character == ".", rest.hasPrefix("..") {
                rest.removeFirst(2)
                end(.near)
            } else if character == " ", part.last == ")" || rest.first == "(" {
                end(.next)
            } else {
                part.append(character)
            }
        }
        end(.any)
        return parts
    }

    /// Every choice among the alternatives.
    private static func expand(_ part: String, of text: String) throws(SyntaxError) -> [String] {
        var texts = [""]
        var rest = part[...]
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
        guard !words.isEmpty, !words.contains(tilde), !words.contains(UInt8(ascii: "*")), !choice.contains("...")
        else {
            let rule = "a fragment is not empty, ~ stands at its ends only, ... and * outside of ( )"
            throw SyntaxError(problem: "pattern \"\(text)\": \(rule)")
        }
        return Fragment(bytes: words, openStart: start, openEnd: end)
    }
}
