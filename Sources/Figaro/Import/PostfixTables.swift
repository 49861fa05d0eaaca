import Foundation

/// Where something stands in a file of Postfix.
struct PostfixPlace: Sendable, Hashable, CustomStringConvertible {
    var file: String
    var line: Int

    var description: String { "\(file):\(line)" }
}

/// One logical line: it goes on where the next begins with white space (postconf(5), and tables likewise).
struct PostfixLine: Sendable, Hashable {
    var text: String
    var place: PostfixPlace

    static func read(_ path: String) throws -> [PostfixLine] {
        lines(of: String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self), file: path)
    }

    static func lines(of text: String, file: String) -> [PostfixLine] {
        var lines: [PostfixLine] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.trimmed
            guard !content.isEmpty, !content.hasPrefix("#") else { continue }
            if line.first?.isWhitespace == true, !lines.isEmpty {
                lines[lines.count - 1].text += " " + content
            } else {
                lines.append(PostfixLine(text: content, place: PostfixPlace(file: file, line: index + 1)))
            }
        }
        return lines
    }

    /// Key and value of a table: up to the first white space, and the rest.
    var pair: (key: String, value: String) {
        let parts = text.split(maxSplits: 1, whereSeparator: \.isWhitespace)
        return (parts.first.map(String.init) ?? "", parts.count > 1 ? parts[1].trimmed : "")
    }
}

/// `main.cf`: parameters, the last of a name counts.
struct PostfixParameters {
    private var values: [String: (value: String, place: PostfixPlace)] = [:]

    init(_ lines: [PostfixLine]) {
        for line in lines {
            guard let equals = line.text.firstIndex(of: "=") else { continue }
            let name = line.text[..<equals].trimmed
            values[name] = (line.text[line.text.index(after: equals)...].trimmed, line.place)
        }
    }

    /// The value with what it refers to (`$name`, `${name}`, `$(name)`) put in its place; nil when it is not set.
    func value(_ name: String, depth: Int = 0) -> (text: String, place: PostfixPlace)? {
        guard let (value, place) = values[name] else { return nil }
        // Postfix does not follow circles either.
        guard depth < 20 else { return (value, place) }
        var text = ""
        var rest = value[...]
        while let dollar = rest.firstIndex(of: "$") {
            text += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "{" || rest.first == "(" { rest = rest.dropFirst() }
            let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            rest = rest[word.endIndex...]
            if rest.first == "}" || rest.first == ")" { rest = rest.dropFirst() }
            text += self.value(String(word), depth: depth + 1)?.text ?? ""
        }
        return (text + rest, place)
    }
}

extension StringProtocol {
    /// Without white space at either end.
    var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
