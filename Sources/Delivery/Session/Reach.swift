package import Mail

/// The rule on where Figaro may connect: to the public internet, to what the operator allows besides, and never to its
/// own listeners, so that neither an MX record nor a map can turn the relay against its own network or into a loop.
package struct Reach: Sendable {
    /// A network that may be connected to although it is not public, at one port or at all.
    package struct Allowed: Sendable, Hashable {
        package let network: IPNetwork
        /// Nil: every port.
        package let port: Int?

        package init(network: IPNetwork, port: Int?) {
            self.network = network
            self.port = port
        }

        /// Reads `127.0.0.0/8:2526`, `10.0.0.0/8`, `[fd00::/8]:25` or `fd00::/8`; nil when it is none of them.
        package init?(_ text: String) {
            var network = text[...]
            var port: Substring?
            if network.first == "[" {
                guard let end = network.firstIndex(of: "]") else { return nil }
                let rest = network[network.index(after: end)...]
                guard rest.isEmpty || rest.first == ":" else { return nil }
                port = rest.isEmpty ? nil : rest.dropFirst()
                network = network[..<end].dropFirst()
            } else if network.filter({ $0 == ":" }).count == 1, let colon = network.firstIndex(of: ":") {
                port = network[network.index(after: colon)...]
                network = network[..<colon]
            }
            guard let parsed = IPNetwork(network) else { return nil }
            self.network = parsed
            guard let port else {
                self.port = nil
                return
            }
            guard port.allSatisfy(\.isASCII), let number = UInt16(port), number > 0 else { return nil }
            self.port = Int(number)
        }
    }

    /// An address and port that Figaro itself listens at; the unspecified address stands for every one of the machine.
    package struct Listener: Sendable, Hashable {
        package let address: IPAddress
        package let port: Int

        package init(address: IPAddress, port: Int) {
            self.address = address
            self.port = port
        }
    }

    private let allowed: [Allowed]
    private let listeners: [Listener]
    private let own: Set<IPAddress>

    /// - Parameter own: the machine's addresses; see ``LocalAddresses/all()``.
    package init(allowed: [Allowed], listeners: [Listener], own: Set<IPAddress>) {
        self.allowed = allowed
        self.listeners = listeners
        self.own = own
    }

    /// Why this must not be connected to, in a few words; nil when it may.
    package func forbids(_ address: IPAddress, port: Int) -> String? {
        if listeners.contains(where: { $0.port == port && meets($0, address) }) {
            return "\(address) port \(port) is this relay's own listener"
        }
        let special = Self.reserved.first { $0.network?.contains(address) == true }
        guard let reserved = special ?? Self.beyond(address) else { return nil }
        let excepted = allowed.contains { entry in
            entry.network.contains(address) && (entry.port ?? port) == port
        }
        return excepted ? nil : "\(address) is \(reserved.kind)"
    }

    private func meets(_ listener: Listener, _ address: IPAddress) -> Bool {
        if listener.address == address { return true }
        // Connecting to the unspecified address reaches the machine itself.
        if Self.isUnspecified(address) { return true }
        return Self.isUnspecified(listener.address) && isOwn(address)
    }

    private func isOwn(_ address: IPAddress) -> Bool {
        own.contains(address) || Self.loopback.contains { $0?.contains(address) == true }
    }

    private static func isUnspecified(_ address: IPAddress) -> Bool {
        address == IPAddress(v4: 0) || (address.high == 0 && address.low == 0)
    }
}

extension Reach {
    private struct Reserved: Sendable {
        let network: IPNetwork?
        let kind: String

        init(_ network: String, _ kind: String) {
            self.network = IPNetwork(network)
            self.kind = kind
        }
    }

    private static let loopback = [IPNetwork("127.0.0.0/8"), IPNetwork("::1/128")]

    /// Of IPv6, RFC 4291 section 2.4 and the registry after it give out 2000::/3 alone for hosts of the internet.
    private static let globalUnicast = IPNetwork("2000::/3")

    private static func beyond(_ address: IPAddress) -> Reserved? {
        guard !address.isIPv4, globalUnicast?.contains(address) != true else { return nil }
        return Reserved("::/0", "not a global unicast address")
    }

    /// The registries of special-purpose addresses (RFC 6890 section 2.2.2 and 2.2.3), and forms of IPv6 that carry an
    /// IPv4 address past a check of the IPv6 one. Mapped IPv4 (::ffff:0:0/96) is IPv4 here already.
    private static let reserved: [Reserved] = [
        Reserved("0.0.0.0/8", "not a host's address"),
        Reserved("10.0.0.0/8", "private"),
        Reserved("100.64.0.0/10", "shared address space"),
        Reserved("127.0.0.0/8", "loopback"),
        Reserved("169.254.0.0/16", "link-local"),
        Reserved("172.16.0.0/12", "private"),
        Reserved("192.0.0.0/24", "reserved for protocols"),
        Reserved("192.0.2.0/24", "for documentation"),
        Reserved("192.88.99.0/24", "a 6to4 relay"),
        Reserved("192.168.0.0/16", "private"),
        Reserved("198.18.0.0/15", "for benchmarks"),
        Reserved("198.51.100.0/24", "for documentation"),
        Reserved("203.0.113.0/24", "for documentation"),
        Reserved("224.0.0.0/4", "multicast"),
        Reserved("255.255.255.255/32", "broadcast"),
        Reserved("240.0.0.0/4", "reserved"),
        Reserved("::/128", "not a host's address"),
        Reserved("::1/128", "loopback"),
        Reserved("::/96", "an IPv4-compatible form"),
        Reserved("64:ff9b::/96", "a NAT64 form"),
        Reserved("64:ff9b:1::/48", "a NAT64 form"),
        Reserved("2001::/32", "a Teredo form"),
        Reserved("2001::/23", "reserved for protocols"),
        Reserved("2001:db8::/32", "for documentation"),
        Reserved("2002::/16", "a 6to4 form"),
        Reserved("3fff::/20", "for documentation"),
        Reserved("fc00::/7", "private"),
        Reserved("fe80::/10", "link-local"),
        Reserved("fec0::/10", "site-local"),
        Reserved("ff00::/8", "multicast"),
    ]
}
