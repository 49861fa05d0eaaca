/// Makes what strangers said fit to be quoted: nothing in it can end a line or a field, move a terminal's cursor, or
/// show text in another order than it has.
enum PlainText {
    /// For people: Unicode without controls, line ends as spaces, at most `limit` scalars.
    static func line(_ text: String, limit: Int = 2_000) -> String {
        scalars(text, limit: limit) { $0.unicodeScalars.append($1) }
    }

    /// For machines: printable US-ASCII, everything else as `\x{E9}`.
    static func ascii(_ text: String, limit: Int = 1_000) -> String {
        scalars(text, limit: limit) { $0 += Xtext.escaped($1) }
    }

    private static func scalars(
        _ text: String, limit: Int, _ append: (inout String, Unicode.Scalar) -> Void
    ) -> String {
        var result = ""
        var count = 0
        var space = true
        for scalar in text.unicodeScalars {
            guard count < limit else { return result + " [...]" }
            count += 1
            if scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r" {
                // One is enough: a line of nothing but spaces would end a header where it is folded.
                if !space { result += " " }
                space = true
            } else {
                append(&result, isHarmless(scalar) ? scalar : "?")
                space = false
            }
        }
        return space && !result.isEmpty ? String(result.dropLast()) : result
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return (32...126).contains(scalar.value) }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return false
        default: return scalar != "\u{FFFD}"
        }
    }
}
