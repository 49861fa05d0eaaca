import Mail

extension HostSet {
    /// The host that an address literal names (RFC 5321 section 4.1.3): `[192.0.2.1]` or `[IPv6:2001:db8::1]`; nil when
    /// the domain is no literal, or one that names no address.
    convenience init?(literal domain: String) {
        guard domain.hasPrefix("["), domain.hasSuffix("]") else { return nil }
        let inner = domain.dropFirst().dropLast()
        let address: IPAddress?
        if inner.lowercased().hasPrefix("ipv6:") {
            address = inner.contains(":") ? IPAddress(inner.dropFirst(5)) : nil
            guard inner.dropFirst(5).contains(":") else { return nil }
        } else {
            address = inner.contains(":") ? nil : IPAddress(inner)
        }
        guard let address else { return nil }
        let name = address.isIPv4 ? "[\(address)]" : "[IPv6:\(address)]"
        self.init(
            hosts: [Host(name: name, preference: 0, addresses: [address], secure: false)], key: "0 \(name)")
    }
}
