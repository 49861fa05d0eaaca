import Mail

/// What is found out of the DNS in several questions, from answers handed in.
protocol Inquiry: Sendable {
    func start() -> HostLookup.Step
    mutating func received(_ answer: Lookup, to question: Question) -> HostLookup.Step
    /// It could end well with what is known.
    var hasUsableHost: Bool { get }
    func outOfTime() -> HostLookup.Resolved
}

extension HostLookup: Inquiry {}

/// How what is looked up is named in caches and queues: a domain by itself; a host by `host:` and a client by `client:`
/// before its name or address, with which no domain can begin.
enum InquiryKey {
    static func host(_ host: String) -> String {
        if let address = IPAddress(host) { return address.isIPv4 ? "[\(address)]" : "[IPv6:\(address)]" }
        return "host:\(host)"
    }

    static func client(_ address: IPAddress) -> String { "client:\(address)" }

    /// Nil when it names neither a valid domain nor a valid host nor an address.
    static func inquiry(_ key: String) -> (any Inquiry)? {
        if key.hasPrefix("host:") { return DomainName(String(key.dropFirst(5))).map(HostLookup.init(host:)) }
        if key.hasPrefix("client:") { return IPAddress(String(key.dropFirst(7))).map(ClientLookup.init) }
        return DomainName(key).map { HostLookup($0) }
    }
}
