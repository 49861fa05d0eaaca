package import Mail

/// Finds the hosts that take a domain's mail (RFC 5321 section 5.1).
package protocol Resolver: Sendable {
    /// The answer if it is known and fresh. Never blocks; this is the hot path.
    func cached(_ domain: String) -> Resolution?

    /// Asks, from the cache or over the network. `then` is called exactly once, within the resolver's deadline, on any
    /// thread.
    func resolve(_ domain: String, then: @escaping @Sendable (Resolution) -> Void)

    /// Finds the addresses of a host that an operator names, whatever its own MX records say; as
    /// ``resolve(_:then:)`` otherwise.
    func resolve(host: String, then: @escaping @Sendable (Resolution) -> Void)
}

/// What is known about where a domain's mail goes.
package enum Resolution: Sendable {
    case hosts(HostSet)
    /// No retry will help: NXDOMAIN, a null MX (RFC 7505), no usable host.
    case never(NoHosts)
    /// SERVFAIL, a timeout, a bogus answer: ask again later. The text is for logs and traces.
    case later(String)

    package enum NoHosts: Sendable, Hashable {
        case noSuchDomain
        case nullMX
        /// MX records stand there, or the name does, but nothing that mail can be sent to.
        case noUsableHost(String)
    }
}

/// The MX hosts of a domain with their addresses: what a session may be reused for.
package final class HostSet: Sendable {
    /// In order of preference, lowest first; equal ones in no order that means anything.
    package let hosts: [Host]
    /// The same for every domain with the same host names and preferences.
    package let key: String

    package init(hosts: [Host], key: String) {
        self.hosts = hosts
        self.key = key
    }

    package struct Host: Sendable, Hashable {
        /// Lower-cased, without the final dot.
        package let name: String
        package let preference: UInt16
        /// At least one.
        package let addresses: [IPAddress]
        /// MX and address answers were DNSSEC-validated.
        package let secure: Bool

        package init(name: String, preference: UInt16, addresses: [IPAddress], secure: Bool) {
            self.name = name
            self.preference = preference
            self.addresses = addresses
            self.secure = secure
        }
    }
}
