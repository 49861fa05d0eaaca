package import Mail

/// One of our addresses, with a name that the DNS is to confirm for it.
package struct NamedAddress: Sendable, Hashable {
    package var address: IPAddress
    /// What it calls itself in EHLO, or a domain in whose name it sends.
    package var name: String

    package init(address: IPAddress, name: String) {
        self.address = address
        self.name = name
    }
}
