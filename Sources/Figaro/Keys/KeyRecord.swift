import DNS
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

    /// What the DNS has where a key's record should stand.
    struct Published {
        private var texts: [String] = []
        private var trouble: String?

        init(_ lookup: Lookup) {
            switch lookup {
            case .records(let records, _, _):
                texts = records.compactMap { if case .text(let text) = $0 { text } else { nil } }
            case .noData: trouble = "no TXT record stands there"
            case .noName: trouble = "there is no such name"
            case .failed(let why): trouble = "it cannot be asked for (\(Visible.text(why)))"
            }
        }

        /// What is wrong with it; nil: verifiers find the key.
        func fault(for key: SigningKey) -> String? {
            if let trouble { return trouble }
            // Verifiers may take any of several (RFC 6376 section 3.6.2.2).
            guard texts.count == 1, let text = texts.first else { return "\(texts.count) TXT records stand there" }
            return PublishedKey.fault(of: text, for: key)
        }

        /// Safe to show; bounded.
        var shown: [String] { texts.prefix(5).map { "\"\(Visible.text(String($0.prefix(1_000))))\"" } }
    }
}
