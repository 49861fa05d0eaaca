import Mail
import Signing

/// What of a key everybody may see.
enum KeyRecord {
    /// As a zone file has it: a text of more than 255 octets is written in parts (RFC 6376 section 3.6.2.2).
    static func line(_ domain: String, _ selector: String, _ key: SigningKey) -> String {
        var parts: [String] = []
        var rest = key.record[...]
        while !rest.isEmpty {
            parts.append("\"\(rest.prefix(250))\"")
            rest = rest.dropFirst(250)
        }
        return "\(name(domain, selector)). 3600 IN TXT ( \(parts.joined(separator: " ")) )"
    }

    static func name(_ domain: String, _ selector: String) -> String { "\(selector)._domainkey.\(domain)" }

    /// A selector that says when its key was made.
    static func today() -> String {
        String(UTCTime.text(SystemTime().now()).prefix(10).filter { $0 != "-" })
    }

    struct Report: Encodable {
        var domain: String
        var selector: String
        var algorithm: String
        var state: String
        var since: String
        /// Where its record stands.
        var record: String

        init(_ entry: KeyFolder.Entry, _ key: SigningKey) {
            domain = entry.domain
            selector = entry.selector
            algorithm = key.algorithm.rawValue
            state = entry.state.rawValue
            since = UTCTime.text(entry.since)
            record = KeyRecord.name(entry.domain, entry.selector)
        }

        var line: String { "\(domain)  \(selector)  \(algorithm)  \(state) since \(since)" }
    }
}
