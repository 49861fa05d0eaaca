package import Mail
package import NIOCore
import NIOPosix

/// Signs what goes out, for the domains that it has keys of (RFC 6376).
package struct Signer: Sendable {
    /// A key, where it is published, and whose mail it signs.
    package struct Entry: Sendable {
        /// In lower case.
        package var domain: String
        package var selector: String
        package var key: SigningKey
        /// Customers whose mail it signs; nil: everybody's.
        package var customers: Set<String>?

        package init(domain: String, selector: String, key: SigningKey, customers: Set<String>? = nil) {
            self.domain = domain.lowercased()
            self.selector = selector
            self.key = key
            self.customers = customers
        }
    }

    private let entries: [String: [Entry]]
    private let nameOfDNS: @Sendable (String) -> String?

    /// - Parameter nameOfDNS: the A-labels (RFC 5890 section 2.3.2.1), in lower case, of a domain that has U-labels;
    ///   nil where it can have none.
    package init(_ entries: [Entry], nameOfDNS: @escaping @Sendable (String) -> String? = { _ in nil }) {
        self.nameOfDNS = nameOfDNS
        // RSA first: a verifier that knows no Ed25519 may look at the first few signatures only.
        self.entries = Dictionary(grouping: entries, by: \.domain).mapValues { keys in
            keys.sorted {
                ($0.key.algorithm == .rsa ? 0 : 1, $0.selector) < ($1.key.algorithm == .rsa ? 0 : 1, $1.selector)
            }
        }
    }

    package var domains: [String] { entries.keys.sorted() }

    /// What a message is to be signed with: the keys of its author's domain, or of the nearest domain above it that has
    /// any for this customer, where the signature still speaks for the author (RFC 7489 section 3.1.1, relaxed).
    ///
    /// - Parameter customer: nil for what we write ourselves, which every key of the domain signs.
    package func entries(for domain: String, of customer: String?) -> [Entry] {
        var name = domain[...]
        while name.contains(".") {
            let found = (entries[String(name)] ?? []).filter { entry in
                customer.map { entry.customers?.contains($0) ?? true } ?? true
            }
            if !found.isEmpty { return found }
            name = name[name.index(after: name.firstIndex(of: ".") ?? name.startIndex)...]
        }
        return []
    }

    /// Starts a signature where there is one to be made.
    ///
    /// - Parameters:
    ///   - content: begins with `start` octets of ours, then the header as it is sent.
    ///   - customer: nil for what we write ourselves.
    package func begin(_ content: ByteBuffer, from start: Int, customer: String?, at time: Timestamp) -> Signature? {
        let header = HeaderBlock(content, from: start)
        guard let written = AuthorDomain.of(header, in: content),
            let author = written.utf8.allSatisfy({ $0 < 128 }) ? written : nameOfDNS(written), author.utf8.count <= 253
        else { return nil }
        let entries = entries(for: author, of: customer)
        guard !entries.isEmpty, let names = SignedFields.names(of: header) else { return nil }
        return Signature(entries: entries, header: header, names: names, content: content, time: time)
    }
}

/// Which fields a signature covers.
enum SignedFields {
    /// Covered once more than they are there: none may be added on the way (RFC 6376 section 8.15).
    private static let sealed = [
        "from", "sender", "reply-to", "subject", "date", "message-id", "to", "cc", "mime-version", "content-type",
        "content-transfer-encoding",
    ]
    /// Covered as often as they are there: lists add their own.
    private static let covered = [
        "in-reply-to", "references", "content-id", "content-description", "resent-from", "resent-to", "resent-cc",
        "resent-date", "resent-message-id", "list-id", "list-unsubscribe", "list-unsubscribe-post", "list-post",
        "list-help", "list-owner", "list-archive",
    ]
    /// A header with more fields of these names than this is nothing to vouch for.
    private static let most = 100

    /// The names of `h=`, in order; nil where there are too many.
    static func names(of header: HeaderBlock) -> [String]? {
        let counts = Dictionary(header.fields.map { ($0.name, 1) }, uniquingKeysWith: +)
        let names =
            sealed.flatMap { Array(repeating: $0, count: (counts[$0] ?? 0) + 1) }
            + covered.flatMap { Array(repeating: $0, count: counts[$0] ?? 0) }
        return names.count <= most ? names : nil
    }
}
