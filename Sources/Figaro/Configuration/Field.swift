import Mail
import Yams

/// Where a value stands in its file; both from 1.
struct Place: Hashable, Sendable {
    var line: Int
    var column: Int
}

/// One value in an operator's file. Each reading method gives the value, or nil after noting what is wrong with it.
struct Field {
    let node: Node
    /// `delivery.schedule[2]`
    let path: String
    let file: String
    let problems: Problems

    /// `ipmaps/vienna.yaml:12`
    var place: String { node.mark.map { "\(file):\($0.line)" } ?? file }

    /// Notes that something is wrong with this value.
    func complain(_ message: String) {
        problems.add(
            Problem(file: file, line: node.mark?.line, column: node.mark?.column, path: path, message: message))
    }

    /// Reads a mapping: `read` asks for the keys it knows, and every key it did not ask for is an error.
    func section<T>(_ read: (Section) -> T) -> T? {
        guard case .mapping(let mapping) = node else {
            complain("expected a mapping of keys to values, found \(found)")
            return nil
        }
        let section = Section(self, mapping)
        let result = read(section)
        section.complainAboutUnknownKeys()
        return result
    }

    /// Reads a sequence; elements for which `read` gives nil are left out.
    func list<T>(atLeast minimum: Int = 0, atMost maximum: Int = 65_536, _ read: (Field) -> T?) -> [T]? {
        guard case .sequence(let sequence) = node else {
            complain("expected a list such as [a, b], found \(found)")
            return nil
        }
        guard sequence.count >= minimum else {
            complain(minimum == 1 ? "is empty; at least one entry is needed" : "needs at least \(minimum) entries")
            return nil
        }
        guard sequence.count <= maximum else {
            complain("has \(sequence.count) entries; at most \(maximum) are allowed")
            return nil
        }
        return sequence.enumerated().compactMap { index, node in
            read(Field(node: node, path: "\(path)[\(index)]", file: file, problems: problems))
        }
    }

    var isList: Bool {
        if case .sequence = node { return true }
        return false
    }

    /// Any scalar as it is written; never empty.
    func string(_ what: String = "a text") -> String? {
        guard case .scalar(let scalar) = node, !isNull else {
            complain("expected \(what), found \(found)")
            return nil
        }
        guard !scalar.string.isEmpty else {
            complain("expected \(what), found an empty text")
            return nil
        }
        return scalar.string
    }

    /// A scalar that `convert` understands; `what` says what is expected, with an example.
    func value<T>(_ what: String, _ convert: (String) -> T?) -> T? {
        guard let text = string(what) else { return nil }
        guard let value = convert(text) else {
            complain("expected \(what), found “\(text)”")
            return nil
        }
        return value
    }

    /// One of a fixed set of words.
    func word<T: CaseIterable & RawRepresentable>(_ type: T.Type = T.self) -> T? where T.RawValue == String {
        let all = T.allCases.map(\.rawValue)
        guard let text = string("one of \(all.joined(separator: ", "))") else { return nil }
        guard let value = T(rawValue: text) else {
            complain("expected one of \(all.joined(separator: ", ")), found “\(text)”\(Nearest.hint(text, among: all))")
            return nil
        }
        return value
    }

    /// `true` or `false`, without quotes.
    func bool() -> Bool? {
        switch plain {
        case "true": return true
        case "false": return false
        default:
            complain("expected true or false, found \(found)")
            return nil
        }
    }

    /// A whole number without unit, quotes or leading zeros.
    func int(_ range: ClosedRange<Int>) -> Int? {
        let what = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let plain, let value = Int(plain), String(value) == plain else {
            complain("expected \(what), found \(found)")
            return nil
        }
        guard range.contains(value) else {
            complain("expected \(what), found \(value)")
            return nil
        }
        return value
    }

    /// A number such as 0.2, without quotes.
    func double(_ range: ClosedRange<Double>) -> Double? {
        let what = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let plain, let value = Double(plain), plain.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") })
        else {
            complain("expected \(what), found \(found)")
            return nil
        }
        guard range.contains(value) else {
            complain("expected \(what), found \(plain)")
            return nil
        }
        return value
    }

    /// Where each value below this one stands, by its path: for checks that come after decoding.
    func places() -> [String: Place] {
        // Aliases can make a small file describe a huge tree.
        let limit = 10_000
        var places: [String: Place] = [:]
        var open = [(node, path)]
        while let (node, path) = open.popLast(), places.count < limit {
            places[path] = node.mark.map { Place(line: $0.line, column: $0.column) }
            switch node {
            case .mapping(let mapping):
                for (key, value) in mapping {
                    guard case .scalar(let scalar) = key else { continue }
                    open.append((value, path.isEmpty ? scalar.string : "\(path).\(scalar.string)"))
                }
            case .sequence(let sequence):
                for (index, value) in sequence.enumerated() { open.append((value, "\(path)[\(index)]")) }
            case .scalar, .alias: break
            }
        }
        return places
    }

    /// What stands there, for an error message.
    var found: String {
        switch node {
        case .scalar(let scalar):
            if isNull { return "nothing" }
            let shown = scalar.string.count > 60 ? scalar.string.prefix(60) + "…" : scalar.string[...]
            return scalar.style == .plain ? "“\(shown)”" : "the quoted text “\(shown)”"
        case .mapping: return "a mapping"
        case .sequence: return "a list"
        case .alias: return "an alias"
        }
    }

    /// The text of a scalar that stands without quotes.
    private var plain: String? {
        guard case .scalar(let scalar) = node, scalar.style == .plain, !isNull else { return nil }
        return scalar.string
    }

    private var isNull: Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}
