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
    package static func leading(_ text: some Collection<UInt8>) -> (code: EnhancedStatus, length: Int)? {
        var parts: [UInt16] = []
        var number: UInt16?
        var length = 0
        for byte in text {
            if (48...57).contains(byte) {
                let digit = UInt16(byte - 48)
                let value = (number ?? 0) * 10 + digit
                guard value <= 999 else { return nil }
                number = value
            } else if byte == 46, let value = number, parts.count < 2 {
                parts.append(value)
                number = nil
            } else {
                break
            }
            length += 1
        }
        guard parts.count == 2, let detail = number, [2, 4, 5].contains(parts[0]) else { return nil }
        let after = text.dropFirst(length).first
        guard after == nil || after == 32 || after == 9 || after == 13 || after == 10 else { return nil }
        return (EnhancedStatus(UInt8(parts[0]), parts[1], detail), length)
    }
}
