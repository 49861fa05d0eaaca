/// An enhanced mail system status code (RFC 3463 section 2), such as 5.7.1.
package struct EnhancedStatus: Hashable, Sendable, CustomStringConvertible {
    /// 2, 4 or 5.
    package let status: UInt8
    /// 0 to 999.
    package let subject: UInt16
    /// 0 to 999.
    package let detail: UInt16

    package init(_ status: UInt8, _ subject: UInt16, _ detail: UInt16) {
        self.status = status
        self.subject = subject
        self.detail = detail
    }

    package var description: String { "\(status).\(subject).\(detail)" }

    /// Reads `5.7.1` where it stands at the start of a reply's text; nil when none stands there.
    ///
    /// - Returns: the code and how many bytes it took, without the space after it.
    package static func leading(_ text: Span<UInt8>) -> (code: EnhancedStatus, length: Int)? {
        var index = 0
        guard let status = number(text, &index), status == 2 || status == 4 || status == 5,
            takeDot(text, &index), let subject = number(text, &index),
            takeDot(text, &index), let detail = number(text, &index)
        else { return nil }
        if index < text.count {
            switch text[index] {
            case 32, 9, 13, 10: break
            default: return nil
            }
        }
        return (EnhancedStatus(UInt8(status), subject, detail), index)
    }

    /// 0 to 999; nil where no digit stands, or a larger number.
    private static func number(_ text: Span<UInt8>, _ index: inout Int) -> UInt16? {
        let start = index
        var value: UInt16 = 0
        while index < text.count, (48...57).contains(text[index]) {
            value = value * 10 + UInt16(text[index] - 48)
            guard value <= 999 else { return nil }
            index += 1
        }
        return index > start ? value : nil
    }

    private static func takeDot(_ text: Span<UInt8>, _ index: inout Int) -> Bool {
        guard index < text.count, text[index] == 46 else { return false }
        index += 1
        return true
    }
}
