import Mail

/// An SPF record (RFC 7208 sections 4.5 and 4.6), taken apart. Whatever the text is, the result is one or an error.
struct PolicyRecord: Hashable, Sendable {
    struct Term: Hashable, Sendable {
        var result: PolicyResult
        var mechanism: Mechanism
    }

    enum Mechanism: Hashable, Sendable {
        case all
        case network(IPNetwork)
        case a(Target)
        case mx(Target)
        case include(String)
        /// What Figaro does not evaluate: `ptr`, `exists`, and names with macros. The text of the term.
        case other(String)
    }

    struct Target: Hashable, Sendable {
        /// nil: the domain of the record itself.
        var domain: String?
        /// Of the networks around the addresses found: 0 to 32, and 0 to 128.
        var prefix4 = 32
        var prefix6 = 128
    }

    struct SyntaxError: Error, Hashable {
        var term: String
    }

    var terms: [Term] = []
    /// Where the answer is instead, if no term matches.
    var redirect: String?
    /// It redirects to a name with macros.
    var redirectsElsewhere = false

    /// A TXT record that is one at all.
    static func isPolicy(_ text: String) -> Bool {
        let text = text.lowercased()
        return text == "v=spf1" || text.hasPrefix("v=spf1 ")
    }

    /// - Parameter text: as ``isPolicy(_:)`` accepts; the strings of the TXT record joined.
    init(_ text: String) throws(SyntaxError) {
        for word in text.split(separator: " ").dropFirst() {
            let term = String(word)
            if let equals = word.firstIndex(of: "="), Self.isName(word[..<equals]) {
                try modify(word[..<equals].lowercased(), String(word[word.index(after: equals)...]), term)
            } else {
                terms.append(try Self.read(word, term))
            }
        }
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, (65...90).contains(first & 0xDF) else { return false }
        return text.utf8.allSatisfy {
            (65...90).contains($0 & 0xDF) || (48...57).contains($0) || [45, 46, 95].contains($0)
        }
    }

    private mutating func modify(_ name: String, _ value: String, _ term: String) throws(SyntaxError) {
        guard name == "redirect" else { return }
        guard redirect == nil, !redirectsElsewhere else { throw SyntaxError(term: term) }
        if value.contains("%") {
            redirectsElsewhere = true
        } else {
            redirect = try Self.domain(value, term)
        }
    }

    private static func read(_ word: Substring, _ term: String) throws(SyntaxError) -> Term {
        var rest = word
        var result = PolicyResult.pass
        if let first = word.first, let qualified = PolicyResult(qualifier: first) {
            result = qualified
            rest = rest.dropFirst()
        }
        let name = rest.prefix { $0 != ":" && $0 != "/" }.lowercased()
        let value = String(rest.dropFirst(name.count))
        return Term(result: result, mechanism: try mechanism(name, value, term))
    }

    private static func mechanism(
        _ name: String, _ value: String, _ term: String
    ) throws(SyntaxError) -> Mechanism {
        switch name {
        case "all" where value.isEmpty: return .all
        case "ip4", "ip6":
            guard value.hasPrefix(":"), let network = IPNetwork(value.dropFirst()),
                network.base.isIPv4 == (name == "ip4")
            else { throw SyntaxError(term: term) }
            return .network(network)
        case "include" where value.hasPrefix(":"):
            return value.contains("%") ? .other(term) : .include(try domain(String(value.dropFirst()), term))
        case "a", "mx":
            if value.contains("%") { return .other(term) }
            let target = try target(value, term)
            return name == "a" ? .a(target) : .mx(target)
        case "exists" where value.count > 1 && value.hasPrefix(":"): return .other(term)
        case "ptr" where value.isEmpty || value.count > 1 && value.hasPrefix(":"): return .other(term)
        default: throw SyntaxError(term: term)
        }
    }

    /// `:example.com/24//64`, any part of which may be missing.
    private static func target(_ value: String, _ term: String) throws(SyntaxError) -> Target {
        var target = Target()
        let slash = value.firstIndex(of: "/") ?? value.endIndex
        let name = value[..<slash]
        if name.hasPrefix(":") {
            target.domain = try domain(String(name.dropFirst()), term)
        } else if !name.isEmpty {
            throw SyntaxError(term: term)
        }
        var lengths = value[slash...]
        if let six = lengths.firstRange(of: "//") {
            target.prefix6 = try length(lengths[six.upperBound...], 128, term)
            lengths = lengths[..<six.lowerBound]
        }
        if !lengths.isEmpty { target.prefix4 = try length(lengths.dropFirst(), 32, term) }
        return target
    }

    private static func length(_ text: Substring, _ most: Int, _ term: String) throws(SyntaxError) -> Int {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = Int(text), number <= most
        else { throw SyntaxError(term: term) }
        return number
    }

    private static func domain(_ text: String, _ term: String) throws(SyntaxError) -> String {
        guard text.utf8.allSatisfy({ $0 < 128 }), let name = DomainName(text) else { throw SyntaxError(term: term) }
        return name.text
    }
}

/// What a policy says of an address (RFC 7208 section 2.6).
package enum PolicyResult: Hashable, Sendable {
    case pass, fail, softfail, neutral
    /// There is no policy.
    case none
    /// The DNS does not answer, or the policy is wrong, with a reason.
    case temperror(String)
    case permerror(String)
    /// It hangs on a term that Figaro does not evaluate.
    case unclear(String)

    init?(qualifier: Character) {
        switch qualifier {
        case "+": self = .pass
        case "-": self = .fail
        case "~": self = .softfail
        case "?": self = .neutral
        default: return nil
        }
    }
}
