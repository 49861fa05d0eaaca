package import Mail

/// DNS data held in memory, for tests and simulations; answers as a resolver would, aliases followed.
package struct Zone: Sendable {
    /// Seconds; of every record and every no.
    package var ttl = 300
    /// Every answer counts as DNSSEC-validated.
    package var secure = false

    private var nodes: [String: Node] = [:]

    private enum Node: Sendable {
        case records([RecordType: [Lookup.Record]])
        case alias(String)
        case failing(String)
    }

    /// More aliases in a row than this are a loop, as they are for most resolvers.
    private static let aliasLimit = 8

    package init() {}

    /// A line that is not understood.
    package struct SyntaxError: Error, Hashable, CustomStringConvertible {
        package let line: Int
        package let text: String
        package var description: String { "zone line \(line): \(text)" }
    }

    /// Reads one record a line, names with or without the final dot, `;` before a comment:
    ///
    ///     example.com  MX 10 mx.example.com
    ///     mx.example.com  A 192.0.2.1
    ///     www.example.com  CNAME example.com
    ///     broken.example  FAIL SERVFAIL
    package init(_ text: String) throws(SyntaxError) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != ";" }.split(separator: " ").map(String.init)
            guard !words.isEmpty else { continue }
            guard add(words) else { throw SyntaxError(line: index + 1, text: String(line)) }
        }
    }

    private mutating func add(_ words: [String]) -> Bool {
        guard words.count >= 3 else { return false }
        switch (words[1], words.count) {
        case ("MX", 4):
            guard let preference = UInt16(words[2]) else { return false }
            mx(words[0], preference, words[3])
        case ("A", 3), ("AAAA", 3):
            guard let address = IPAddress(words[2]), address.isIPv4 == (words[1] == "A") else { return false }
            self.address(words[0], address)
        case ("CNAME", 3): alias(words[0], of: words[2])
        case ("FAIL", 3...): fail(words[0], words[2...].joined(separator: " "))
        default: return false
        }
        return true
    }

    package mutating func mx(_ name: String, _ preference: UInt16, _ host: String) {
        add(.mx(preference: preference, host: Self.plain(host)), .mx, to: name)
    }

    package mutating func address(_ name: String, _ address: IPAddress) {
        add(.address(address), address.isIPv4 ? .a : .aaaa, to: name)
    }

    package mutating func alias(_ name: String, of other: String) {
        nodes[Self.plain(name)] = .alias(Self.plain(other))
    }

    /// Every question for the name fails for now, like SERVFAIL or a timeout.
    package mutating func fail(_ name: String, _ why: String) {
        nodes[Self.plain(name)] = .failing(why)
    }

    package mutating func remove(_ name: String) {
        nodes[Self.plain(name)] = nil
    }

    private mutating func add(_ record: Lookup.Record, _ type: RecordType, to name: String) {
        var records: [RecordType: [Lookup.Record]] = [:]
        if case .records(let known) = nodes[Self.plain(name)] { records = known }
        records[type, default: []].append(record)
        nodes[Self.plain(name)] = .records(records)
    }

    package func answer(_ question: Question) -> Lookup {
        var name = question.name
        for _ in 0...Self.aliasLimit {
            switch nodes[name] {
            case nil: return .noName(ttl: ttl, secure: secure)
            case .failing(let why): return .failed(why)
            case .alias(let other): name = other
            case .records(let all):
                guard let records = all[question.type] else { return .noData(ttl: ttl, secure: secure) }
                return .records(records, ttl: ttl, secure: secure)
            }
        }
        return .failed("too many aliases")
    }

    private static func plain(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }
}
