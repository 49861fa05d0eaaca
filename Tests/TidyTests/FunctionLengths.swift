/// Functions of a Swift file and how many lines each takes, by indentation, which swift-format keeps honest.
struct FunctionLengths {
    struct Function: Equatable {
        var line: Int
        var name: String
        var length: Int
    }

    var functions: [Function] = []

    init(_ lines: [Substring]) {
        for (number, line) in lines.enumerated() where Self.begins(line) {
            let indentation = line.prefix { $0 == " " }.count
            let length = Self.length(lines[number...], indentation: indentation)
            functions.append(Function(line: number + 1, name: line.trimmed, length: length))
        }
    }

    private static func begins(_ line: Substring) -> Bool {
        guard ["func", "init", "subscript"].contains(where: { line.contains($0) }) else { return false }
        let words = line.trimmed.prefix { $0 != "(" && $0 != "{" }.split(separator: " ").prefix(6)
        let modifiers: Set<Substring> = [
            "package", "private", "fileprivate", "internal", "static", "override", "final", "mutating", "consuming",
            "borrowing", "nonisolated", "convenience", "required", "@Test", "@discardableResult", "@inline",
        ]
        guard let first = words.first(where: { !modifiers.contains($0) }) else { return false }
        return ["func", "deinit", "subscript"].contains(first) || first.hasPrefix("init")
            || first.hasPrefix("subscript")
    }

    /// Up to the brace that closes the body; 1 for a declaration without one and for a body on the same line.
    private static func length(_ lines: ArraySlice<Substring>, indentation: Int) -> Int {
        for (offset, line) in lines.enumerated().dropFirst() {
            let text = line.trimmed
            if text.isEmpty || line.prefix(while: { $0 == " " }).count > indentation { continue }
            if text.hasPrefix(")") || text.hasPrefix("where ") { continue }
            return text.hasPrefix("}") ? offset + 1 : 1
        }
        return 1
    }
}

extension Substring {
    var trimmed: String {
        let octets = utf8.drop { $0 == UInt8(ascii: " ") }
        guard let last = octets.lastIndex(where: { $0 != UInt8(ascii: " ") }) else { return "" }
        return String(Substring(octets[...last]))
    }
}
