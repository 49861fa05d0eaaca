import Mail

/// Addresses that a customer may send from: `customer.example` for one domain, `*.customer.example` for all below it,
/// or `news@customer.example`.
package struct SenderSet: Sendable, Hashable {
    private var domains: Set<String> = []
    /// Without the star and its dot.
    private var parents: Set<String> = []
    /// In lower case: hosts that tell `News@` from `news@` apart are a matter of the receiver's.
    private var addresses: Set<String> = []

    package init() {}

    package var isEmpty: Bool { domains.isEmpty && parents.isEmpty && addresses.isEmpty }

    /// - Returns: whether it was understood.
    package mutating func insert(_ text: String) -> Bool {
        let text = text.lowercased()
        if text.contains("@") {
            guard let address = try? Address(parsing: text), !address.domain.hasPrefix("[") else { return false }
            addresses.insert(address.description)
            return true
        }
        let isParent = text.hasPrefix("*.")
        let domain = isParent ? String(text.dropFirst(2)) : text
        guard let address = try? Address(parsing: "x@\(domain)"), address.domain == domain, !domain.hasPrefix("["),
            domain.contains(".")
        else { return false }
        if isParent { parents.insert(domain) } else { domains.insert(domain) }
        return true
    }

    /// As a person writes them, in order.
    package var list: [String] { domains.sorted() + parents.sorted().map { "*.\($0)" } + addresses.sorted() }

    mutating func formUnion(_ other: SenderSet) {
        domains.formUnion(other.domains)
        parents.formUnion(other.parents)
        addresses.formUnion(other.addresses)
    }

    func contains(_ address: Address) -> Bool {
        if domains.contains(address.domain) { return true }
        if !parents.isEmpty {
            var rest = address.domain[...]
            while let dot = rest.firstIndex(of: ".") {
                rest = rest[rest.index(after: dot)...]
                if parents.contains(String(rest)) { return true }
            }
        }
        return !addresses.isEmpty && addresses.contains(address.description.lowercased())
    }
}

/// What a session has to know to tell whether an address may be sent from.
struct SenderRight: Sendable {
    /// What the customer has declared; without anything it may use all that nobody else has declared.
    let own: SenderSet
    /// What any customer has declared.
    let claimed: SenderSet

    /// nil where everything may be used, which is then not looked at.
    init?(own: SenderSet, claimed: SenderSet) {
        guard !own.isEmpty || !claimed.isEmpty else { return nil }
        self.own = own
        self.claimed = claimed
    }

    func covers(_ address: Address) -> Bool {
        own.isEmpty ? !claimed.contains(address) : own.contains(address)
    }
}
