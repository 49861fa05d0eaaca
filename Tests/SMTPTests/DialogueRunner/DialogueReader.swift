/// Reads the notation that `Dialogues/README.md` describes.
enum DialogueReader {
    static func read(_ text: String, file: String) throws(DialogueFault) -> Dialogue {
        var side: Dialogue.Side?
        var settings: [Dialogue.Setting] = []
        var steps: [(line: Int, step: Dialogue.Step)] = []
        var number = 0
        for raw in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let line = raw.last == "\r" ? raw.dropLast() : raw
            guard !line.isEmpty, line.first != "#" else { continue }
            if let side, let step = try step(line, side, file, number) {
                steps.append((number, step))
                continue
            }
            guard steps.isEmpty, let colon = line.firstIndex(of: ":"), line[..<colon].count > 1 else {
                let what = side == nil ? "before the first word stands “figaro: server” or “figaro: client”" : unknown
                throw DialogueFault(file: file, line: number, what: what)
            }
            let key = String(line[..<colon])
            let value = String(line[line.index(after: colon)...].drop { $0 == " " })
            if key == "figaro" {
                side = Dialogue.Side(rawValue: value)
                guard side != nil else {
                    throw DialogueFault(file: file, line: number, what: "figaro is server or client, not “\(value)”")
                }
            } else {
                settings.append(Dialogue.Setting(line: number, key: key, value: value))
            }
        }
        guard let side, !steps.isEmpty else {
            throw DialogueFault(file: file, line: number, what: "nobody says a word")
        }
        return try Dialogue(file: file, side: side, settings: settings, steps: steps)
    }

    private static let unknown = "a line begins with “C: ”, “S: ”, “C| ”, “S| ”, “! ”, “= ” or “#”; see README.md"

    /// nil for a line of the head.
    private static func step(
        _ line: Substring, _ side: Dialogue.Side, _ file: String, _ number: Int
    ) throws(DialogueFault) -> Dialogue.Step? {
        let words = String(line.dropFirst(3))
        if line.hasPrefix("! ") { return .event(String(line.dropFirst(2))) }
        if line.hasPrefix("= ") { return .outcome(expectation(String(line.dropFirst(2)))) }
        guard let who = line.first, who == "C" || who == "S" else { return nil }
        let isFigaro = (who == "S") == (side == .server)
        switch line.dropFirst() {
        case " closes": return isFigaro ? .figaroCloses : .otherSideCloses
        case " half-closes" where !isFigaro: return .otherSideHalfCloses
        case ":": return isFigaro ? .hears(expectation("")) : .says([13, 10])
        default: break
        }
        let mark = line.dropFirst().prefix(2)
        guard mark == ": " || mark == "| " else { return nil }
        do {
            if isFigaro {
                guard mark == ": " else {
                    let what = "what Figaro says is told line by line, with “:”"
                    throw DialogueFault(file: file, line: number, what: what)
                }
                return .hears(expectation(words))
            }
            return .says(try Escapes.octets(words) + (mark == ": " ? [13, 10] : []))
        } catch let fault as DialogueFault {
            throw fault
        } catch {
            throw DialogueFault(file: file, line: number, what: "\(error)")
        }
    }

    private static func expectation(_ words: String) -> Dialogue.Expectation {
        guard words.hasSuffix("...") else { return Dialogue.Expectation(words: words) }
        return Dialogue.Expectation(words: String(words.dropLast(3)), isOpen: true)
    }
}

/// Octets that cannot be typed: `\r` `\n` `\t` `\0` `\\` `\xE4`, and `\{998 x}` for a text again and again.
enum Escapes {
    struct Fault: Error, CustomStringConvertible {
        var description: String
    }

    static func octets(_ text: String) throws(Fault) -> [UInt8] {
        var octets: [UInt8] = []
        var rest = text[...]
        while let character = rest.popFirst() {
            guard character == "\\" else {
                octets += Array(String(character).utf8)
                continue
            }
            switch rest.popFirst() {
            case "r": octets.append(13)
            case "n": octets.append(10)
            case "t": octets.append(9)
            case "0": octets.append(0)
            case "\\": octets.append(92)
            case "x":
                guard let octet = UInt8(rest.prefix(2), radix: 16), rest.prefix(2).count == 2 else {
                    throw Fault(description: "after \\x come two digits of an octet in hexadecimal")
                }
                octets.append(octet)
                rest = rest.dropFirst(2)
            case "{":
                let inside = rest.prefix { $0 != "}" }
                let parts = inside.split(separator: " ", maxSplits: 1)
                guard parts.count == 2, let count = Int(parts[0]), (1...1 << 24).contains(count),
                    inside.endIndex < rest.endIndex
                else { throw Fault(description: "a repetition looks like \\{998 x}") }
                let once = try Self.octets(String(parts[1]))
                for _ in 0..<count { octets += once }
                rest = rest[inside.endIndex...].dropFirst()
            default: throw Fault(description: "a backslash stands before r, n, t, 0, x, { or another backslash")
            }
        }
        return octets
    }
}
