import Mail

/// What a host offered in its EHLO reply (RFC 5321 section 4.1.1.1), as far as sending depends on it. Enhanced status
/// codes are read wherever they stand, offered or not.
package struct HostFeatures: Sendable, Equatable {
    /// RFC 2920.
    var pipelining = false
    /// RFC 6152.
    package var eightBit = false
    /// RFC 6531.
    package var utf8 = false
    /// RFC 3207.
    var startTLS = false
    /// RFC 1870: nil where not offered, 0 where offered without a limit.
    package var size: Int?
    /// RFC 4954: names of mechanisms in capitals.
    var auth: Set<String> = []
    /// RFC 3461.
    package var notices = false

    init() {}

    init(ehlo reply: Reply) {
        // The first line is the host's greeting.
        for line in reply.text.utf8.split(separator: 10, omittingEmptySubsequences: false).dropFirst() {
            let words = line.split(separator: 32)
            guard let keyword = words.first else { continue }
            switch String(keyword)?.uppercased() {
            case "PIPELINING": pipelining = true
            case "8BITMIME": eightBit = true
            case "SMTPUTF8": utf8 = true
            case "STARTTLS": startTLS = true
            case "DSN": notices = true
            case "AUTH": auth = Set(words.dropFirst().prefix(64).compactMap { String($0)?.uppercased() })
            // A limit beyond what an Int holds is none.
            case "SIZE": size = words.count > 1 ? String(words[1]).flatMap { Int($0) }.map { max($0, 0) } ?? 0 : 0
            default: break
            }
        }
    }
}
