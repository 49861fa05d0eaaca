import Mail

/// Makes a host's words fit for logs, traces and notices: what could move a terminal's cursor or reorder its text does
/// not come through.
enum ReplyText {
    /// A reply of these raw lines, joined with line feeds. An enhanced status code (RFC 2034 section 4) that fits the
    /// code is taken off the front of every line that repeats it.
    static func reply(_ code: UInt16, _ raw: [UInt8]) -> Reply {
        guard let (enhanced, length) = EnhancedStatus.leading(raw.span), UInt16(enhanced.status) == code / 100 else {
            return Reply(code, nil, harmless(raw[...]))
        }
        guard raw.contains(10) else { return Reply(code, enhanced, harmless(afterStatus(raw[length...]))) }
        var text = ""
        for line in raw.split(separator: 10, omittingEmptySubsequences: false) {
            if !text.isEmpty { text += "\n" }
            if let (again, length) = EnhancedStatus.leading(line.span), again == enhanced {
                text += harmless(afterStatus(line.dropFirst(length)))
            } else {
                text += harmless(line)
            }
        }
        return Reply(code, enhanced, text)
    }

    private static func afterStatus(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        line.drop { $0 == 32 || $0 == 9 }
    }

    /// Tabs become spaces, other control characters and broken UTF-8 question marks.
    static func harmless(_ raw: ArraySlice<UInt8>) -> String {
        let text = String(decoding: raw, as: UTF8.self)
        guard raw.contains(where: { ($0 < 32 && $0 != 10) || $0 > 126 }) else { return text }
        var clean = ""
        for scalar in text.unicodeScalars {
            clean.unicodeScalars.append(harmless(scalar))
        }
        return clean
    }

    private static func harmless(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.properties.generalCategory {
        // Format characters hold the bidirectional overrides.
        case .control where scalar != "\n" && scalar != "\t", .format, .lineSeparator, .paragraphSeparator,
            .privateUse, .unassigned, .surrogate:
            "?"
        default:
            scalar == "\t" ? " " : scalar == "\u{FFFD}" ? "?" : scalar
        }
    }
}
