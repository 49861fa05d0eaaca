/// A key's record in the DNS, as verifiers read it (RFC 6376 section 3.6.1).
package enum PublishedKey {
    /// Why verifiers would not find good by this record what a key signs; nil: they would.
    ///
    /// - Parameter text: the strings of one TXT record, joined.
    package static func fault(of text: String, for key: SigningKey) -> String? {
        guard let tags = tags(text) else { return "it is no list of tags" }
        guard let own = self.tags(key.record) else { return "the key has no record" }
        if let version = tags.first(where: { $0.name == "v" }), version.value != "DKIM1" || tags.first?.name != "v" {
            return "it does not begin with v=DKIM1"
        }
        let values = Dictionary(tags.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        guard let published = values["p"] else { return "it has no key" }
        if published.isEmpty { return "it says that the key is revoked" }
        func value(_ name: String) -> String? { own.first { $0.name == name }?.value }
        guard values["k", default: "rsa"] == value("k") ?? "rsa" else { return "its key is of another kind" }
        guard bare(published) == value("p").map(bare) else { return "it holds another key" }
        if let hashes = values["h"], !list(hashes).contains("sha256") { return "it allows no SHA-256" }
        if let services = values["s"], list(services).isDisjoint(with: ["*", "email"]) { return "it is not for mail" }
        return nil
    }

    /// RFC 6376 section 3.2; nil where a tag has no name or stands there twice.
    private static func tags(_ text: String) -> [(name: String, value: String)]? {
        var tags: [(name: String, value: String)] = []
        for part in text.split(separator: ";") {
            let parts = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = trimmed(parts[0])
            if parts.count == 1, name.isEmpty { continue }
            guard parts.count == 2, !name.isEmpty, !tags.contains(where: { $0.name == name }) else { return nil }
            tags.append((name, trimmed(parts[1])))
        }
        return tags
    }

    private static func list(_ value: String) -> Set<String> {
        Set(value.split(separator: ":").map { trimmed($0) })
    }

    /// White space may stand anywhere in a key.
    private static func bare(_ value: String) -> String { value.filter { !$0.isWhitespace } }

    private static func trimmed(_ text: Substring) -> String {
        var rest = text.drop { $0.isWhitespace }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
