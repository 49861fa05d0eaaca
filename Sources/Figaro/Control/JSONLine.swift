import Foundation

/// JSON on one line, as it goes over the control socket and out of `--json`; keys in snake case.
enum JSONLine {
    /// The value on one line without its end. What could disturb a terminal is escaped.
    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        guard let data = try? encoder.encode(value) else { return #"{"error":"cannot be told as JSON"}"# }
        let text = String(decoding: data, as: UTF8.self)
        guard text.unicodeScalars.contains(where: { $0.value >= 127 && Visible.isHostile($0) }) else { return text }
        // Such characters stand inside strings only, where an escape means the same.
        var safe = ""
        for scalar in text.unicodeScalars {
            if scalar.value >= 127, Visible.isHostile(scalar) {
                for unit in String(scalar).utf16 {
                    let hex = String(unit, radix: 16)
                    safe += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                }
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    /// nil when the line is not such a value.
    static func value<T: Decodable>(_ type: T.Type, from line: String) -> T? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(type, from: Data(line.utf8))
    }
}
