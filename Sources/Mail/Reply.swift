/// An SMTP reply (RFC 5321 section 4.2): what a receiver said to us, or what we say to a customer.
package struct Reply: Hashable, Sendable, CustomStringConvertible {
    /// 200 to 599.
    package let code: UInt16
    package let enhanced: EnhancedStatus?
    /// The text after code and enhanced status; lines of a multi-line reply are joined with a line feed.
    package let text: String

    package init(_ code: UInt16, _ enhanced: EnhancedStatus? = nil, _ text: String) {
        self.code = code
        self.enhanced = enhanced
        self.text = text
    }

    package var isPositive: Bool { code < 400 }
    package var isTransient: Bool { code >= 400 && code < 500 }
    package var isPermanent: Bool { code >= 500 }

    /// One line for a log or a trace: `550 5.7.1 blocked`.
    package var description: String {
        let oneLine = text.utf8.contains(10) ? String(text.map { $0 == "\n" ? " " : $0 }) : text
        guard let enhanced else { return "\(code) \(oneLine)" }
        return "\(code) \(enhanced) \(oneLine)"
    }
}
