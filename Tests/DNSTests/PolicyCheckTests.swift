import Mail
import Testing

@testable import DNS

/// SPF as receivers evaluate it (RFC 7208), against zones written as `name type data`.
struct PolicyCheckTests {
    /// Answers of a zone, and how often it was asked.
    private final class Zone {
        private(set) var records: [Question: [Lookup.Record]] = [:]
        private(set) var asked: [Question] = []
        var failing: Set<String> = []

        init(_ lines: [String]) {
            for line in lines {
                let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
                let types: [String: RecordType] = ["A": .a, "AAAA": .aaaa, "MX": .mx, "TXT": .txt]
                guard parts.count == 3, let type = types[parts[1]] else { continue }
                records[Question(parts[0], type), default: []].append(Self.record(type, parts[2]))
            }
        }

        private static func record(_ type: RecordType, _ data: String) -> Lookup.Record {
            switch type {
            case .mx: .mx(preference: 10, host: data)
            case .txt: .text(data)
            default: IPAddress(data).map { .address($0) } ?? .text(data)
            }
        }

        func ask(_ questions: [Question]) -> [Lookup] {
            asked += questions
            return questions.map { question in
                if failing.contains(question.name) { return .failed("SERVFAIL") }
                if let found = records[question] { return .records(found, ttl: 60, secure: false) }
                let exists = records.keys.contains { $0.name == question.name }
                return exists ? .noData(ttl: 60, secure: false) : .noName(ttl: 60, secure: false)
            }
        }
    }

    private func result(_ address: String, _ lines: [String], failing: Set<String> = []) throws -> PolicyResult {
        let zone = Zone(lines)
        zone.failing = failing
        let subject = NamedAddress(address: try #require(IPAddress(address)), name: "example.com")
        let results = PolicyCheck.results(of: [subject], ask: zone.ask)
        #expect(Set(zone.asked).count == zone.asked.count, "nothing is asked twice")
        return try #require(results.first)
    }

    static let zone = [
        "example.com A 192.0.2.10", "example.com A 192.0.2.11", "example.com MX mail-a.example.com",
        "example.com MX mail-b.example.com", "mail-a.example.com A 192.0.2.129", "mail-b.example.com A 192.0.2.130",
        "mail-b.example.com AAAA 2001:db8::30", "other.example TXT v=spf1 ip4:203.0.113.0/24 -all",
        "amy.example.com A 192.0.2.65", "soft.example TXT v=spf1 ~all", "far.example TXT v=spf1 exists:%{i}.x.example",
    ]

    @Test(arguments: [
        ("+all", "192.0.2.129", PolicyResult.pass), ("a -all", "192.0.2.10", .pass), ("a -all", "192.0.2.65", .fail),
        ("a:amy.example.com -all", "192.0.2.65", .pass), ("mx -all", "192.0.2.129", .pass),
        ("mx -all", "192.0.2.10", .fail), ("mx/30 -all", "192.0.2.131", .pass), ("a/24 ~all", "192.0.2.200", .pass),
        ("a//64 -all", "192.0.2.10", .pass), ("mx//64 -all", "2001:db8::1", .pass), ("mx -all", "2001:db8::1", .fail),
        ("ip4:192.0.2.128/28 -all", "192.0.2.130", .pass), ("ip4:192.0.2.128/28 -all", "192.0.2.65", .fail),
        ("ip6:2001:db8::/32 -all", "2001:db8::9", .pass), ("ip6:2001:db8::/32 ?all", "192.0.2.1", .neutral),
        ("IP4:192.0.2.1 ~ALL", "192.0.2.2", .softfail), ("-ip4:192.0.2.1 +all", "192.0.2.1", .fail),
        ("", "::1", .neutral),
        ("include:other.example -all", "203.0.113.7", .pass), ("include:other.example ~all", "192.0.2.1", .softfail),
        ("redirect=other.example", "203.0.113.7", .pass), ("redirect=other.example", "192.0.2.1", .fail),
        ("redirect=other.example ?all", "192.0.2.1", .neutral), ("new=thing a -all", "192.0.2.10", .pass),
        ("include:missing.example -all", "::1", .permerror("include:missing.example leads to no policy")),
        ("redirect=missing.example", "::1", .permerror("redirect=missing.example leads to no policy")),
    ])
    func `says what receivers say`(_ policy: String, _ address: String, _ expected: PolicyResult) throws {
        #expect(try result(address, Self.zone + ["example.com TXT v=spf1 \(policy)"]) == expected)
    }

    @Test(arguments: [
        "ip4:192.0.2.256", "ip4", "ip4:2001:db8::1", "ip6:192.0.2.1", "a/33", "a//129", "a/", "all:x", "include",
        "include:", "b", "exists", "mx:..", "a:exa mple", "redirect=a.example redirect=b.example", "-", "a/-1", "ptr:",
        "\u{E4}", "ip4:192.0.2.0/99999999999999999999",
    ])
    func `calls wrong what is wrong, before and behind what matches`(_ term: String) throws {
        for policy in ["v=spf1 \(term) +all", "v=spf1 +all \(term)"] {
            guard case .permerror = try result("192.0.2.10", Self.zone + ["example.com TXT \(policy)"]) else {
                Issue.record("\(policy) is taken")
                continue
            }
        }
    }

    @Test(arguments: [
        ("exists:%{i}.x.example -all", PolicyResult.unclear("exists:%{i}.x.example")), ("ptr -all", .unclear("ptr")),
        ("ptr +all", .pass), ("-exists:x.example +all", .unclear("-exists:x.example")),
        ("ip4:192.0.2.1 exists:x.example -all", .pass), ("redirect=%{d}.example", .unclear("redirect")),
        ("include:far.example -all", .unclear("exists:%{i}.x.example in far.example")),
        ("a:%{d}.example -all", .unclear("a:%{d}.example")),
    ])
    func `does not guess at what it does not evaluate`(_ policy: String, _ expected: PolicyResult) throws {
        #expect(try result("192.0.2.1", Self.zone + ["example.com TXT v=spf1 \(policy)"]) == expected)
    }

    @Test func `there is none, or too many`() throws {
        #expect(try result("192.0.2.1", Self.zone) == .none)
        #expect(try result("192.0.2.1", ["example.com TXT v=spf10 +all", "example.com TXT verify=1"]) == .none)
        #expect(
            try result("192.0.2.1", ["example.com TXT v=spf1 +all", "example.com TXT v=spf1 -all"])
                == .permerror("example.com has 2 policies"))
        #expect(
            try result("192.0.2.1", [], failing: ["example.com"])
                == .temperror("example.com cannot be asked for (SERVFAIL)"))
        #expect(
            try result("192.0.2.1", ["example.com TXT v=spf1 a:down.example +all"], failing: ["down.example"])
                == .temperror("down.example cannot be asked for (SERVFAIL)"))
    }

    @Test func `has the limits of RFC 7208 section 4_6_4`() throws {
        func chain(_ count: Int) -> [String] {
            (1...count).map { "p\($0).example TXT v=spf1 include:p\($0 + 1).example -all" }
                + ["p\(count + 1).example TXT v=spf1 +all", "example.com TXT v=spf1 include:p1.example -all"]
        }
        #expect(try result("192.0.2.1", chain(9)) == .pass)
        guard case .permerror(let why) = try result("192.0.2.1", chain(10)) else { return #expect(Bool(false)) }
        #expect(why.contains("more than 10 terms"))
        // Two that include each other.
        let ring = ["example.com TXT v=spf1 include:b.example", "b.example TXT v=spf1 include:example.com"]
        guard case .permerror = try result("192.0.2.1", ring) else { return #expect(Bool(false)) }
        let voids = ["example.com TXT v=spf1 a:x1.example a:x2.example a:x3.example +all"]
        #expect(
            try result("192.0.2.1", voids) == .permerror("more than 2 names that lead nowhere, at x3.example"))
        let many = (1...11).map { "example.com MX mx\($0).example.com" } + ["example.com TXT v=spf1 mx -all"]
        #expect(try result("192.0.2.1", many) == .permerror("example.com has more than 10 mail exchangers"))
    }

    @Test func `asks for all subjects together`() throws {
        let zone = Zone(
            (0..<250).flatMap { ["out-\($0).example TXT v=spf1 a -all", "out-\($0).example A 192.0.2.\($0)"] })
        var rounds = 0
        let subjects = (0..<250).compactMap { number in
            IPAddress("192.0.2.\(number)").map { NamedAddress(address: $0, name: "out-\(number).example") }
        }
        let results = PolicyCheck.results(of: subjects) { questions in
            rounds += 1
            return zone.ask(questions)
        }
        #expect(results == Array(repeating: .pass, count: 250) && rounds == 2)
        #expect(PolicyCheck.results(of: subjects) { _ in [] }.allSatisfy { $0 == results[0] } == false)
    }

    @Test func `is read from strings that are joined, whatever they hold`() {
        #expect(RecordData.read([3, 118, 61, 115, 0, 3, 112, 102, 49], as: .txt) == .text("v=spf1"))
        #expect(RecordData.read([], as: .txt) == .text(""))
        #expect(RecordData.read([2, 0xFF, 0], as: .txt) == .text("\u{FF}\0"))
        #expect(RecordData.read([3, 118], as: .txt) == nil)
    }
}
