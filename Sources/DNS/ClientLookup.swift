package import Mail

/// Finds the name of a client that the DNS confirms, from answers handed in: its PTR record names it, and the name
/// leads back to its address (RFC 8601 section 3, `iprev`). Whoever has the reverse zone can write any name there; only
/// the way back shows that it is the client's.
package struct ClientLookup: Inquiry {
    /// PTR records that are followed; an honest address has one.
    private static let nameLimit = 5

    private let address: IPAddress
    private var pointer: Lookup?
    private var names: [String] = []
    /// Where each name leads.
    private var ways: [String: Lookup] = [:]

    package init(_ address: IPAddress) {
        self.address = address
    }

    private var forward: RecordType { address.isIPv4 ? .a : .aaaa }

    package func start() -> HostLookup.Step {
        .ask([Question(ForwardConfirmation.reverseName(of: address), .ptr)])
    }

    /// Takes an answer. One that was not asked for, or comes a second time, changes nothing.
    package mutating func received(_ answer: Lookup, to question: Question) -> HostLookup.Step {
        if question.type == .ptr {
            guard pointer == nil else { return .wait }
            pointer = answer
            names = Self.names(answer)
            return names.isEmpty ? .done(conclude()) : .ask(names.map { Question($0, forward) })
        }
        guard question.type == forward, names.contains(question.name), ways[question.name] == nil else { return .wait }
        ways[question.name] = answer
        return ways.count == names.count ? .done(conclude()) : .wait
    }

    package var hasUsableHost: Bool { confirmed != nil }

    package func outOfTime() -> HostLookup.Resolved {
        confirmed == nil ? .failure("no answer for the name of \(address) in time") : conclude()
    }

    /// Names of hosts, each once.
    private static func names(_ answer: Lookup) -> [String] {
        guard case .records(let records, _, _) = answer else { return [] }
        var names: [String] = []
        for case .pointer(let text) in records where names.count < nameLimit {
            guard let name = DomainName(text), !name.isLocal, !names.contains(name.text) else { continue }
            names.append(name.text)
        }
        return names
    }

    private var confirmed: (name: String, ttl: Int)? {
        for name in names {
            guard case .records(let records, let ttl, _) = ways[name], records.contains(.address(address)) else {
                continue
            }
            return (name, ttl)
        }
        return nil
    }

    private func conclude() -> HostLookup.Resolved {
        if let (name, ttl) = confirmed {
            var lifetime = ttl
            if case .records(_, let ttl, _) = pointer { lifetime = min(lifetime, ttl) }
            let host = HostSet.Host(name: name, preference: 0, addresses: [address], secure: false)
            return HostLookup.Resolved(
                .hosts(HostSet(hosts: [host], key: "0 \(name)")), lifetime: HostLookup.believable(lifetime))
        }
        for case .failed(let why) in [pointer].compactMap(\.self) + ways.values {
            return .failure("name of \(address): \(why)")
        }
        return HostLookup.Resolved(
            .never(.noUsableHost("no name leads back to \(address)")), lifetime: HostLookup.longestNo)
    }
}
