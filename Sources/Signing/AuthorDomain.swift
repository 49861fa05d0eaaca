package import NIOCore

/// The domain of the author: what DMARC looks at (RFC 7489 section 3.1.1).
package enum AuthorDomain {
    /// That of the first mailbox of a `From` field, in lower case, U-labels as they are (RFC 6532 section 3.2); nil
    /// where it has none that could be signed for.
    ///
    /// - Parameter value: what follows the colon.
    package static func first(in value: some Sequence<UInt8>) -> String? {
        var text: [UInt8] = []
        var depth = 0
        var isQuoted = false
        var isEscaped = false
        for octet in value {
            if isEscaped {
                isEscaped = false
                if isQuoted { text.append(120) }
                continue
            }
            switch octet {
            case 92 where isQuoted || depth > 0: isEscaped = true
            case 34 where depth == 0: isQuoted.toggle()
            // What is quoted separates nothing.
            case _ where isQuoted: text.append(120)
            case 40: depth += 1
            case 41 where depth > 0: depth -= 1
            case _ where depth > 0: break
            case 62 where text.contains(60): return domain(of: text[(text.lastIndex(of: 60) ?? 0)...].dropFirst())
            case 44 where !text.contains(60):
                if text.contains(64) { return domain(of: text[...]) }
                text = []
            case 59 where !text.contains(60): return text.contains(64) ? domain(of: text[...]) : nil
            // The name of a group says nothing.
            case 58 where !text.contains(60): text = []
            case 13, 10, 32, 9: break
            default: text.append(octet)
            }
        }
        return domain(of: text.lastIndex(of: 60).map { text[($0 + 1)...] } ?? text[...])
    }

    /// The same of a header.
    package static func of(_ header: HeaderBlock, in content: ByteBuffer) -> String? {
        guard let field = header.fields.first(where: { $0.name == "from" }) else { return nil }
        return content.withUnsafeReadableBytes { first(in: $0[field.value..<field.range.upperBound]) }
    }

    private static func domain(of mailbox: ArraySlice<UInt8>) -> String? {
        guard let at = mailbox.lastIndex(of: 64) else { return nil }
        var domain = mailbox[(at + 1)...]
        if domain.last == 46 { domain.removeLast() }
        let isName = domain.allSatisfy { octet in
            octet > 127 || (97...122).contains(octet | 32) || (48...57).contains(octet) || [45, 46, 95].contains(octet)
        }
        // U-labels take more octets than the name of the DNS that they stand for.
        guard (1...1_000).contains(domain.count), isName else { return nil }
        return String(validating: domain, as: UTF8.self)?.lowercased()
    }
}
