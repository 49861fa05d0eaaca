import Yams

/// Takes out of what leaves the house whatever is a customer's or a secret: local parts of addresses, passwords, keys.
enum Redaction {
    static let mark = "…"

    /// The text with the local part of every mail address left out, and that of each of `locals` where it stands alone.
    static func text(_ text: String, locals: Set<String> = []) -> String {
        var characters = Array(text)
        if characters.contains("@") { characters = withoutLocalParts(characters) }
        for local in locals where local.count > 1 { characters = without(Array(local.lowercased()), in: characters) }
        return String(characters)
    }

    /// `…@domain`.
    static func address(_ address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return address.isEmpty ? "" : mark }
        return mark + address[at...]
    }

    /// The local part of an address in text.
    static func local(_ address: String) -> String? {
        address.lastIndex(of: "@").map { String(address[..<$0]) }
    }

    /// Characters of RFC 5321's atoms and dots, and all that is not ASCII (RFC 6531); a slash stands in too many paths.
    private static func isAtom(_ character: Character) -> Bool {
        guard character.isASCII else { return !character.isWhitespace && character != "…" }
        return character.isLetter || character.isNumber || "!#$%&'*+-=?^_`{|}~./".contains(character)
    }

    private static func withoutLocalParts(_ characters: [Character]) -> [Character] {
        var result: [Character] = []
        for character in characters {
            if character == "@" {
                let before = result.count
                if result.last == "\"" { dropQuoted(&result) } else { dropAtoms(&result) }
                if result.count < before { result.append(contentsOf: mark) }
            }
            result.append(character)
        }
        return result
    }

    /// From the closing quote to the opening one. In JSON and in the log both are escaped themselves.
    private static func dropQuoted(_ characters: inout [Character]) {
        characters.removeLast()
        let isEscaped = characters.last == "\\"
        if isEscaped { characters.removeLast() }
        while let last = characters.popLast() {
            if last == "\"", (characters.last == "\\") == isEscaped { break }
        }
        if isEscaped, characters.last == "\\" { characters.removeLast() }
    }

    private static func dropAtoms(_ characters: inout [Character]) {
        var start = characters.count
        while start > 0, isAtom(characters[start - 1]) { start -= 1 }
        // `to=ada@example.org` in the log: an equals sign inside an address would be within quotes there.
        let word = String(characters[start...])
        for key in ["to=", "from=", "sender=", "postmaster="] where word.hasPrefix(key) {
            if start == 0 || characters[start - 1] == " " { start += key.count }
        }
        characters.removeSubrange(start...)
    }

    private static func without(_ word: [Character], in characters: [Character]) -> [Character] {
        guard characters.count >= word.count else { return characters }
        func isWord(_ index: Int) -> Bool {
            characters.indices.contains(index) && (characters[index].isLetter || characters[index].isNumber)
        }
        var result: [Character] = []
        var index = 0
        while index < characters.count {
            let end = index + word.count
            if end <= characters.count, !isWord(index - 1), !isWord(end),
                String(characters[index..<end]).lowercased() == String(word)
            {
                result.append(contentsOf: mark)
                index = end
            } else {
                result.append(characters[index])
                index += 1
            }
        }
        return result
    }

    // MARK: Configuration

    private static let leftOut = "(left out)"
    private static let secrets = [
        "password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key", "private", "auth",
    ]

    /// A YAML file as it was understood: its comments, which may say anything, are gone with everything secret.
    static func yaml(_ text: String) -> String {
        do {
            guard let node = try compose(yaml: text) else { return "(an empty file)" }
            return try serialize(node: redacted(node), allowUnicode: true)
        } catch {
            return "(not YAML, left out)"
        }
    }

    private static func redacted(_ node: Node) -> Node {
        switch node {
        case .scalar(let scalar):
            let isKey = scalar.string.contains("-----BEGIN")
            return Node(isKey ? leftOut : self.text(scalar.string), scalar.tag, scalar.style)
        case .sequence(let sequence):
            return Node(sequence.map(redacted), sequence.tag, sequence.style)
        case .mapping(let mapping):
            let pairs = mapping.map { key, value in
                let name = key.string?.lowercased() ?? ""
                let isSecret = secrets.contains { name.contains($0) }
                return (key, isSecret ? Node(leftOut) : redacted(value))
            }
            return Node(pairs, mapping.tag, mapping.style)
        case .alias: return node
        }
    }
}
