import Mail

/// Whether SPF policies cover our addresses: `check_host()` of RFC 7208 section 4, by the limits of section 4.6.4.
///
/// Evaluated are `all`, `ip4`, `ip6`, `a`, `mx`, `include` and `redirect`. Where the answer hangs on `ptr`, `exists` or
/// a name with macros, it is ``PolicyResult/unclear(_:)``.
package enum PolicyCheck {
    /// Asks for the policies of all their names, on the caller's thread; blocks.
    ///
    /// - Returns: in the order of the subjects.
    package static func results(
        of subjects: [NamedAddress], _ configuration: UnboundResolver.Configuration
    ) throws(UnboundResolver.SetupError) -> [PolicyResult] {
        let context = try UnboundContext(configuration)
        return results(of: subjects) { context.answers(to: $0, within: configuration.timeout) }
    }

    /// Every subject is evaluated until it needs an answer that is not there yet; those are asked for together. A
    /// subject has a bounded number of questions, so this ends.
    static func results(of subjects: [NamedAddress], ask: ([Question]) -> [Lookup]) -> [PolicyResult] {
        var known: [Question: Lookup] = [:]
        var results = [PolicyResult?](repeating: nil, count: subjects.count)
        while true {
            var missing: Set<Question> = []
            for (index, subject) in subjects.enumerated() where results[index] == nil {
                var evaluation = PolicyEvaluation(address: subject.address, known: known)
                let result = evaluation.result(of: subject.name)
                if evaluation.missing.isEmpty { results[index] = result } else { missing.formUnion(evaluation.missing) }
            }
            guard !missing.isEmpty else { return results.map { $0 ?? .none } }
            let questions = Array(missing)
            for (question, answer) in zip(questions, ask(questions)) { known[question] = answer }
            // An asker that answers less than it was asked would be asked for ever.
            for question in questions where known[question] == nil { known[question] = .failed("no answer") }
        }
    }
}

/// One address against the policy of one domain, by the answers that are known.
struct PolicyEvaluation {
    let address: IPAddress
    let known: [Question: Lookup]
    /// What must be known before the result counts.
    private(set) var missing: [Question] = []
    /// Terms that asked the DNS, and answers without a record (RFC 7208 section 4.6.4).
    private var lookups = 0
    private var voids = 0

    private static let lookupLimit = 10
    private static let voidLimit = 2
    private static let exchangerLimit = 10

    init(address: IPAddress, known: [Question: Lookup]) {
        self.address = address
        self.known = known
    }

    /// What ends an evaluation before a term has matched.
    private enum Stop: Error {
        case missing
        case wrong(PolicyResult)
    }

    mutating func result(of domain: String) -> PolicyResult {
        do throws(Stop) {
            return try check(domain)
        } catch {
            switch error {
            case .missing: return .none
            case .wrong(let result): return result
            }
        }
    }

    private mutating func check(_ domain: String) throws(Stop) -> PolicyResult {
        guard let name = DomainName(domain)?.text, let record = try record(of: name) else { return .none }
        var doubts: [(term: String, result: PolicyResult)] = []
        var found: PolicyResult?
        for term in record.terms {
            if case .other(let text) = term.mechanism {
                try count(text)
                doubts.append((text, term.result))
            } else if let doubt = try matches(term, name, &found) {
                doubts.append((doubt, term.result))
            }
            if found != nil { break }
        }
        let result: PolicyResult
        if let found { result = found } else { result = try elsewhere(record) }
        // A doubtful term that says the same changes nothing.
        if let doubt = doubts.first(where: { $0.result != result }) { return .unclear(doubt.term) }
        return result
    }

    /// Sets what the term says where it matches.
    ///
    /// - Returns: why it cannot be told whether it does.
    private mutating func matches(
        _ term: PolicyRecord.Term, _ domain: String, _ found: inout PolicyResult?
    ) throws(Stop) -> String? {
        switch term.mechanism {
        case .all: found = term.result
        case .network(let network): if network.contains(address) { found = term.result }
        case .a(let target):
            try count("a")
            if try covers(target.domain ?? domain, target) { found = term.result }
        case .mx(let target):
            try count("mx")
            for host in try exchangers(of: target.domain ?? domain) where found == nil {
                if try covers(host, target, isVoidCounted: false) { found = term.result }
            }
        case .include(let other):
            try count("include:\(other)")
            switch try check(other) {
            case .pass: found = term.result
            case .fail, .softfail, .neutral: break
            case .none: throw .wrong(.permerror("include:\(other) leads to no policy"))
            case .unclear(let why): return "\(why) in \(other)"
            case .temperror(let why): throw .wrong(.temperror(why))
            case .permerror(let why): throw .wrong(.permerror(why))
            }
        case .other: break
        }
        return nil
    }

    private mutating func elsewhere(_ record: PolicyRecord) throws(Stop) -> PolicyResult {
        if record.redirectsElsewhere { return .unclear("redirect") }
        guard let other = record.redirect else { return .neutral }
        try count("redirect=\(other)")
        let result = try check(other)
        if result == .none { throw .wrong(.permerror("redirect=\(other) leads to no policy")) }
        return result
    }

    private mutating func count(_ term: String) throws(Stop) {
        lookups += 1
        guard lookups <= Self.lookupLimit else {
            throw .wrong(.permerror("more than \(Self.lookupLimit) terms that ask the DNS, at \(term)"))
        }
    }

    // MARK: asking

    private mutating func record(of domain: String) throws(Stop) -> PolicyRecord? {
        var texts: [String] = []
        switch try answer(Question(domain, .txt)) {
        case .records(let records, _, _):
            texts = records.compactMap { if case .text(let text) = $0 { text } else { nil } }
        case .noData, .noName: return nil
        case .failed(let why): throw .wrong(.temperror("\(domain) cannot be asked for (\(why))"))
        }
        let policies = texts.filter(PolicyRecord.isPolicy)
        guard policies.count < 2 else { throw .wrong(.permerror("\(domain) has \(policies.count) policies")) }
        guard let policy = policies.first else { return nil }
        do throws(PolicyRecord.SyntaxError) {
            return try PolicyRecord(policy)
        } catch {
            throw .wrong(.permerror("\(domain) has the term \(error.term)"))
        }
    }

    private mutating func covers(
        _ domain: String, _ target: PolicyRecord.Target, isVoidCounted: Bool = true
    ) throws(Stop) -> Bool {
        let lookup = try answer(Question(domain, address.isIPv4 ? .a : .aaaa))
        if isVoidCounted { try countVoid(lookup, domain) }
        switch lookup {
        case .records(let records, _, _):
            return records.contains { record in
                guard case .address(let found) = record, found.isIPv4 == address.isIPv4 else { return false }
                let prefix = found.isIPv4 ? target.prefix4 : target.prefix6
                return IPNetwork(found, prefix: prefix)?.contains(address) ?? false
            }
        case .noData, .noName: return false
        case .failed(let why): throw .wrong(.temperror("\(domain) cannot be asked for (\(why))"))
        }
    }

    private mutating func exchangers(of domain: String) throws(Stop) -> [String] {
        let lookup = try answer(Question(domain, .mx))
        try countVoid(lookup, domain)
        switch lookup {
        case .records(let records, _, _):
            let hosts = records.compactMap { if case .mx(_, let host) = $0 { host } else { nil } }
            guard hosts.count <= Self.exchangerLimit else {
                throw .wrong(.permerror("\(domain) has more than \(Self.exchangerLimit) mail exchangers"))
            }
            return hosts.filter { !$0.isEmpty }
        case .noData, .noName: return []
        case .failed(let why): throw .wrong(.temperror("\(domain) cannot be asked for (\(why))"))
        }
    }

    private mutating func countVoid(_ lookup: Lookup, _ domain: String) throws(Stop) {
        switch lookup {
        case .records, .failed: return
        case .noData, .noName: voids += 1
        }
        guard voids <= Self.voidLimit else {
            throw .wrong(.permerror("more than \(Self.voidLimit) names that lead nowhere, at \(domain)"))
        }
    }

    private mutating func answer(_ question: Question) throws(Stop) -> Lookup {
        guard let answer = known[question] else {
            missing.append(question)
            throw .missing
        }
        return answer
    }
}

extension PolicyResult {
    /// What is wrong where the address is one of our own; nil where it is covered.
    package func fault(of domain: String) -> String? {
        switch self {
        case .pass: nil
        case .fail: "the SPF record of \(domain) does not name it: fail"
        case .softfail: "the SPF record of \(domain) does not name it: softfail"
        case .neutral: "the SPF record of \(domain) does not name it: neutral"
        case .none: "\(domain) has no SPF record"
        case .temperror(let why): "the SPF record of \(domain) cannot be evaluated now: \(why)"
        case .permerror(let why): "the SPF record of \(domain) is wrong: \(why)"
        case .unclear(let term): "whether the SPF record of \(domain) covers it cannot be told: it hangs on \(term)"
        }
    }
}
