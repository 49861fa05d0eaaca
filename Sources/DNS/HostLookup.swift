import Mail

/// Finds a domain's mail hosts (RFC 5321 section 5.1) from answers handed in; does no I/O itself.
///
/// 1. Ask for the MX records. NXDOMAIN or a null MX (RFC 7505 section 3) is final.
/// 2. No MX record at all: the domain itself is the host, at preference 0.
/// 3. Ask for A and AAAA of the first hosts in order of preference.
/// 4. Hosts with an address are the answer. If there is none, it is final only when every host's answer was.
package struct HostLookup: Sendable {
    /// Hosts that are looked at. Large receivers publish up to seven; each costs two questions, so that a hostile
    /// domain with a thousand MX may cost twenty.
    static let hostLimit = 10
    /// Addresses of one host, and of all together. A message tries a few addresses before it goes back to the schedule;
    /// the rest only holds memory in a cache of 100,000 domains.
    static let addressesPerHost = 10
    static let addressLimit = 30
    /// Seconds. An answer lives as long as the DNS lets it, but not so short that every message asks again, and not so
    /// long that a move goes unnoticed for more than a day.
    static let lifetimes = 5...86_400
    /// Seconds a final no is believed, an answer with gaps (a host that could not be resolved), and a failure. Short,
    /// because the first message after a repair should get through.
    static let longestNo = 300
    static let longestGap = 300
    static let failureLifetime = 20

    package enum Step: Sendable {
        case ask([Question])
        case wait
        case done(Resolved)
    }

    /// The end of a lookup and for how many seconds it holds.
    package struct Resolved: Sendable {
        package let resolution: Resolution
        package let lifetime: Int

        package init(_ resolution: Resolution, lifetime: Int) {
            self.resolution = resolution
            self.lifetime = lifetime
        }

        package static func failure(_ why: String) -> Resolved {
            Resolved(.later(why), lifetime: HostLookup.failureLifetime)
        }
    }

    private let domain: DomainName
    private var exchangers: Lookup?
    private var candidates: [Candidate] = []

    /// A host that may take the domain's mail, and what is known of its addresses.
    private struct Candidate: Sendable {
        let name: String
        let preference: UInt16
        var v4: Lookup?
        var v6: Lookup?

        var answers: [Lookup?] { [v4, v6] }
    }

    package init(_ domain: DomainName) {
        self.domain = domain
    }

    /// Looks for the addresses of a host that an operator names, whatever its own MX records say.
    package init(host: DomainName) {
        domain = host
        exchangers = .noData(ttl: Self.lifetimes.upperBound, secure: false)
        candidates = [Candidate(name: host.text, preference: 0)]
    }

    package func start() -> Step {
        .ask(candidates.isEmpty ? [Question(domain.text, .mx)] : addressQuestions)
    }

    private var addressQuestions: [Question] {
        candidates.flatMap { [Question($0.name, .a), Question($0.name, .aaaa)] }
    }

    /// Takes an answer. One that was not asked for, or comes a second time, changes nothing.
    package mutating func received(_ answer: Lookup, to question: Question) -> Step {
        if question.type == .mx {
            guard exchangers == nil, question.name == domain.text else { return .wait }
            exchangers = answer
            return choose(answer)
        }
        for index in candidates.indices where candidates[index].name == question.name {
            if question.type == .a, candidates[index].v4 == nil { candidates[index].v4 = answer }
            if question.type == .aaaa, candidates[index].v6 == nil { candidates[index].v6 = answer }
        }
        guard exchangers != nil, candidates.allSatisfy({ $0.v4 != nil && $0.v6 != nil }) else { return .wait }
        return .done(conclude())
    }

    /// A host with an address is known, so that waiting for the others is a courtesy.
    package var hasUsableHost: Bool {
        candidates.contains { !addresses(of: $0).isEmpty }
    }

    /// Nothing more will come: what is known must do. Unanswered questions count as failed for now.
    package func outOfTime() -> Resolved {
        exchangers == nil ? .failure("no answer for MX of \(domain) in time") : conclude()
    }

    // MARK: Choosing hosts

    private mutating func choose(_ answer: Lookup) -> Step {
        switch answer {
        case .failed(let why):
            return .done(.failure("MX of \(domain): \(why)"))
        case .noName(let ttl, _):
            return .done(Resolved(.never(.noSuchDomain), lifetime: Self.no(ttl)))
        case .noData:
            candidates = [Candidate(name: domain.text, preference: 0)]
        case .records(let records, let ttl, _):
            let published = records.compactMap { record in
                if case .mx(let preference, let host) = record { (preference: preference, host: host) } else { nil }
            }
            if published.count == 1, published[0].host.isEmpty {
                return .done(Resolved(.never(.nullMX), lifetime: Self.no(ttl)))
            }
            candidates = Self.usable(published)
            guard !candidates.isEmpty else {
                let names = published.prefix(3).map { $0.host.isEmpty ? "." : $0.host }.joined(separator: ", ")
                let why = "no MX of \(domain) is the name of a host: \(names)"
                return .done(Resolved(.never(.noUsableHost(why)), lifetime: Self.no(ttl)))
            }
        }
        return .ask(addressQuestions)
    }

    /// Names of hosts, each once at its best preference, in an order that does not depend on the order of the answer.
    private static func usable(_ published: [(preference: UInt16, host: String)]) -> [Candidate] {
        var best: [String: UInt16] = [:]
        for (preference, host) in published {
            guard let name = DomainName(host), !name.isLocal, name.text == host else { continue }
            best[host] = min(preference, best[host] ?? .max)
        }
        return
            best
            .sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            .prefix(hostLimit)
            .map { Candidate(name: $0.key, preference: $0.value) }
    }

    // MARK: Concluding

    private func conclude() -> Resolved {
        let found = candidates.map(addresses(of:))
        let share = Self.shares(found.map(\.count))
        let hosts = zip(candidates, zip(found, share)).compactMap { candidate, taken -> HostSet.Host? in
            guard taken.1 > 0 else { return nil }
            return HostSet.Host(
                name: candidate.name, preference: candidate.preference, addresses: Array(taken.0.prefix(taken.1)),
                secure: isSecure(candidate))
        }
        let gap = firstFailure()
        guard hosts.isEmpty else {
            let key = candidates.map { "\($0.preference) \($0.name)" }.joined(separator: " ")
            let longest = gap == nil ? Self.lifetimes.upperBound : Self.longestGap
            let lifetime = min(Self.believable(shortestTTL()), longest)
            return Resolved(.hosts(HostSet(hosts: hosts, key: key)), lifetime: lifetime)
        }
        if let gap { return .failure(gap) }
        let names = candidates.prefix(3).map(\.name).joined(separator: ", ")
        return Resolved(.never(.noUsableHost("no address for \(names)")), lifetime: Self.no(shortestTTL()))
    }

    /// Both families in turn, so that a limit never cuts one of them off.
    private func addresses(of candidate: Candidate) -> [IPAddress] {
        let families = candidate.answers.map { answer -> [IPAddress] in
            guard case .records(let records, _, _) = answer else { return [] }
            return records.compactMap { if case .address(let address) = $0 { address } else { nil } }
        }
        var seen: Set<IPAddress> = []
        var mixed: [IPAddress] = []
        for index in 0..<(families.map(\.count).max() ?? 0) {
            for family in families where index < family.count && seen.insert(family[index]).inserted {
                mixed.append(family[index])
            }
        }
        return Array(mixed.prefix(Self.addressesPerHost))
    }

    /// How many addresses each host keeps: one for each in order of preference, then a second one, up to the limit.
    private static func shares(_ counts: [Int]) -> [Int] {
        var shares = counts.map { _ in 0 }
        var left = addressLimit
        for round in 0..<addressesPerHost {
            for index in counts.indices where counts[index] > round && left > 0 {
                shares[index] += 1
                left -= 1
            }
        }
        return shares
    }

    private func isSecure(_ candidate: Candidate) -> Bool {
        guard Self.isSecure(exchangers) else { return false }
        return candidate.answers.allSatisfy { answer in
            if case .records = answer { Self.isSecure(answer) } else { true }
        }
    }

    private static func isSecure(_ answer: Lookup?) -> Bool {
        switch answer {
        case .records(_, _, let secure), .noData(_, let secure), .noName(_, let secure): secure
        case .failed, nil: false
        }
    }

    private func firstFailure() -> String? {
        for candidate in candidates {
            for (answer, type) in zip(candidate.answers, ["A", "AAAA"]) {
                switch answer {
                case nil: return "no answer for \(type) of \(candidate.name) in time"
                case .failed(let why): return "\(type) of \(candidate.name): \(why)"
                default: continue
                }
            }
        }
        return nil
    }

    private func shortestTTL() -> Int {
        let answers = [exchangers] + candidates.flatMap(\.answers)
        return answers.compactMap { answer in
            switch answer {
            case .records(_, let ttl, _): ttl
            case .noData(let ttl, _), .noName(let ttl, _): max(ttl, Self.longestNo)
            case .failed, nil: nil
            }
        }.min() ?? Self.longestNo
    }

    static func believable(_ ttl: Int) -> Int { min(max(ttl, lifetimes.lowerBound), lifetimes.upperBound) }

    private static func no(_ ttl: Int) -> Int {
        min(max(ttl, lifetimes.lowerBound), longestNo)
    }
}
