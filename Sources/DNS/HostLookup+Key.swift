import Mail

/// How what is looked up is named in caches and queues: a domain by itself, a host by `host:` before its name, which no
/// domain can begin with.
extension HostLookup {
    static func key(host: String) -> String {
        if let address = IPAddress(host) { return address.isIPv4 ? "[\(address)]" : "[IPv6:\(address)]" }
        return "host:\(host)"
    }

    /// Nil when it names neither a valid domain nor a valid host.
    init?(key: String) {
        if key.hasPrefix("host:") {
            guard let name = DomainName(String(key.dropFirst(5))) else { return nil }
            self.init(host: name)
        } else {
            guard let name = DomainName(key) else { return nil }
            self.init(name)
        }
    }
}
