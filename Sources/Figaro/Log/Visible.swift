/// Makes text that came from outside safe to show: a receiver's reply must not move an operator's cursor, and a
/// sender's address must not break a log line.
enum Visible {
    /// The text with control, line-breaking and direction-changing characters written as `\u{1B}`; a backslash is
    /// doubled.
    static func text(_ text: some StringProtocol) -> String {
        // Nearly all text is plain; it is looked through once and not copied.
        if text.utf8.allSatisfy({ $0 >= 32 && $0 < 127 && $0 != 92 }) { return String(text) }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == "\\" {
                result += "\\\\"
            } else if isHostile(scalar) {
                result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Controls (C0, DEL, C1), separators of lines and paragraphs, and everything invisible that changes how the text
    /// around it is shown (Unicode's general category Cf: direction marks and overrides, joiners, tags).
    static func isHostile(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
