import DNS
import Mail
import Testing

/// Transcripts: answer in, expected questions or end out.
@Suite struct HostLookupTests {
    private static let four = "192.0.2.1"

    private func lookup(_ domain: String = "example.com") throws -> HostLookup {
        HostLookup(try #require(DomainName(domain)))
    }

    private func mx(_ hosts: (UInt16, String)..., ttl: Int = 600, secure: Bool = false) -> Lookup {
        .records(hosts.map { .mx(preference: $0.0, host: $0.1) }, ttl: ttl, secure: secure)
    }

    private func addresses(_ texts: String..., ttl: Int = 600, secure: Bool = false) throws -> Lookup {
        .records(try texts.map { .address(try #require(IPAddress($0))) }, ttl: ttl, secure: secure)
    }

    private let none = Lookup.noData(ttl: 600, secure: false)

    private func asked(_ step: HostLookup.Step) -> [Question]? {
        if case .ask(let questions) = step { questions } else { nil }
    }

    private func ended(_ step: HostLookup.Step) -> HostLookup.Resolved? {
        if case .done(let resolved) = step { resolved } else { nil }
    }

    private func hosts(_ resolution: Resolution?) throws -> HostSet {
        guard case .hosts(let hosts) = resolution else {
            Issue.record("expected hosts, got \(String(describing: resolution))")
            throw Unexpected()
        }
        return hosts
    }

    private struct Unexpected: Error {}

    /// Answers every question by its name and type; unanswered ones stay open.
    private func run(_ lookup: inout HostLookup, _ answers: [Question: Lookup]) -> HostLookup.Resolved? {
        var step = lookup.start()
        var open: [Question] = []
        while true {
            switch step {
            case .done(let resolved): return resolved
            case .ask(let questions): open += questions
            case .wait: break
            }
            guard let index = open.firstIndex(where: { answers[$0] != nil }) else { return nil }
            let question = open.remove(at: index)
            step = lookup.received(answers[question] ?? none, to: question)
        }
    }

    @Test func `MX hosts are asked for both families and come in order of preference`() throws {
        var lookup = try lookup()
        #expect(asked(lookup.start()) == [Question("example.com", .mx)])
        let step = lookup.received(mx((20, "b.example"), (10, "a.example")), to: Question("example.com", .mx))
        #expect(
            asked(step) == [
                Question("a.example", .a), Question("a.example", .aaaa), Question("b.example", .a),
                Question("b.example", .aaaa),
            ])
        #expect(ended(lookup.received(try addresses("192.0.2.2"), to: Question("b.example", .a))) == nil)
        #expect(ended(lookup.received(none, to: Question("b.example", .aaaa))) == nil)
        #expect(ended(lookup.received(try addresses("192.0.2.1"), to: Question("a.example", .a))) == nil)
        #expect(lookup.hasUsableHost)
        let end = ended(lookup.received(try addresses("2001:db8::1"), to: Question("a.example", .aaaa)))
        let hosts = try hosts(end?.resolution)
        #expect(hosts.hosts.map(\.name) == ["a.example", "b.example"])
        #expect(hosts.hosts[0].addresses.map(\.description) == ["192.0.2.1", "2001:db8::1"])
        #expect(hosts.key == "10 a.example 20 b.example")
        #expect(end?.lifetime == 600)
    }

    @Test func `the key does not depend on the order of the answer or on who has addresses`() throws {
        var first = try lookup("one.example")
        var second = try lookup("two.example")
        let all: [Question: Lookup] = [
            Question("one.example", .mx): mx((10, "b.example"), (10, "a.example")),
            Question("two.example", .mx): mx((10, "a.example"), (10, "b.example")),
            Question("a.example", .a): try addresses("192.0.2.1"), Question("a.example", .aaaa): none,
            Question("b.example", .a): none, Question("b.example", .aaaa): none,
        ]
        #expect(try hosts(run(&first, all)?.resolution).key == hosts(run(&second, all)?.resolution).key)
    }

    @Test func `without any MX record the domain itself is the host`() throws {
        var lookup = try lookup()
        let step = lookup.received(none, to: Question("example.com", .mx))
        #expect(asked(step) == [Question("example.com", .a), Question("example.com", .aaaa)])
        _ = lookup.received(none, to: Question("example.com", .a))
        let end = ended(lookup.received(try addresses("2001:db8::1"), to: Question("example.com", .aaaa)))
        let hosts = try hosts(end?.resolution)
        #expect(hosts.hosts.map(\.name) == ["example.com"])
        #expect(hosts.hosts.map(\.preference) == [0])
    }

    @Test func `an MX that cannot be used does not make the domain its own host`() throws {
        for host in ["192.0.2.1", "localhost", "a b", "a\\046b", "mx..example", "*"] {
            var lookup = try lookup()
            let end = ended(lookup.received(mx((10, host)), to: Question("example.com", .mx)))
            guard case .never(.noUsableHost) = end?.resolution else {
                Issue.record("\(host): \(String(describing: end))")
                continue
            }
        }
    }

    @Test func `one MX that is the root is a null MX; among others it is only unusable`() throws {
        var null = try lookup()
        let end = ended(null.received(mx((0, "")), to: Question("example.com", .mx)))
        guard case .never(.nullMX) = end?.resolution else {
            Issue.record("\(String(describing: end))")
            return
        }
        var mixed = try lookup()
        let step = mixed.received(mx((0, ""), (10, "a.example")), to: Question("example.com", .mx))
        #expect(asked(step)?.map(\.name) == ["a.example", "a.example"])
    }

    @Test func `NXDOMAIN is final, a failure is not`() throws {
        var gone = try lookup()
        let no = ended(gone.received(.noName(ttl: 9_000, secure: false), to: Question("example.com", .mx)))
        guard case .never(.noSuchDomain) = no?.resolution else {
            Issue.record("\(String(describing: no))")
            return
        }
        #expect(no?.lifetime == 300)
        var broken = try lookup()
        let later = ended(broken.received(.failed("SERVFAIL"), to: Question("example.com", .mx)))
        guard case .later(let why) = later?.resolution else {
            Issue.record("\(String(describing: later))")
            return
        }
        #expect(why.contains("SERVFAIL"))
    }

    @Test func `no address at all is final when every host said so, later when one of them failed`() throws {
        var answers: [Question: Lookup] = [
            Question("example.com", .mx): mx((10, "a.example"), (20, "b.example")),
            Question("a.example", .a): .noName(ttl: 60, secure: false),
            Question("a.example", .aaaa): .noName(ttl: 60, secure: false), Question("b.example", .a): none,
            Question("b.example", .aaaa): none,
        ]
        var final = try lookup()
        guard case .never(.noUsableHost) = run(&final, answers)?.resolution else {
            Issue.record("not final")
            return
        }
        answers[Question("b.example", .aaaa)] = .failed("timeout")
        var open = try lookup()
        guard case .later = run(&open, answers)?.resolution else {
            Issue.record("not later")
            return
        }
    }

    @Test func `a host that cannot be resolved now leaves the others, for five minutes at most`() throws {
        var lookup = try lookup()
        let end = run(
            &lookup,
            [
                Question("example.com", .mx): mx((10, "dead.example"), (20, "b.example"), ttl: 90_000),
                Question("dead.example", .a): .failed("SERVFAIL"),
                Question("dead.example", .aaaa): .failed("SERVFAIL"),
                Question("b.example", .a): try addresses("192.0.2.2", ttl: 90_000),
                Question("b.example", .aaaa): .noData(ttl: 90_000, secure: false),
            ])
        #expect(try hosts(end?.resolution).hosts.map(\.name) == ["b.example"])
        #expect(end?.lifetime == 300)
    }

    @Test func `out of time, what is known must do`() throws {
        var lookup = try lookup()
        guard case .later = lookup.outOfTime().resolution else {
            Issue.record("hosts from nothing")
            return
        }
        _ = lookup.received(mx((10, "slow.example"), (20, "b.example")), to: Question("example.com", .mx))
        guard case .later = lookup.outOfTime().resolution else {
            Issue.record("hosts without addresses")
            return
        }
        _ = lookup.received(try addresses("192.0.2.2"), to: Question("b.example", .a))
        #expect(try hosts(lookup.outOfTime().resolution).hosts.map(\.name) == ["b.example"])
    }

    @Test func `ten hosts, ten addresses of each and thirty in all are enough`() throws {
        var lookup = try lookup()
        let many = (0..<200).map { (UInt16($0), "mx\($0).example") }
        let step = lookup.received(
            .records(many.map { .mx(preference: $0.0, host: $0.1) }, ttl: 60, secure: false),
            to: Question("example.com", .mx))
        let questions = try #require(asked(step))
        #expect(questions.count == 20)
        #expect(questions.last?.name == "mx9.example")
        var end: HostLookup.Resolved?
        for (index, question) in questions.enumerated() {
            let records = (0..<40).map { item -> Lookup.Record in
                let low = UInt64(index) << 8 | UInt64(item)
                return .address(
                    question.type == .a
                        ? IPAddress(v4: UInt32(0xC000_0000) | UInt32(low))
                        : IPAddress(high: 0x2001_0DB8 << 32, low: low))
            }
            end = ended(lookup.received(.records(records, ttl: 60, secure: false), to: question))
        }
        let hosts = try hosts(end?.resolution)
        #expect(hosts.hosts.count == 10)
        #expect(hosts.hosts.allSatisfy { $0.addresses.count == 3 })
        #expect(hosts.hosts.allSatisfy { Set($0.addresses.map(\.isIPv4)).count == 2 })
    }

    @Test func `a host is secure when the MX and its addresses are`() throws {
        for (mxSecure, addressSecure) in [(true, true), (true, false), (false, true)] {
            var lookup = try lookup()
            let end = run(
                &lookup,
                [
                    Question("example.com", .mx): mx((10, "a.example"), secure: mxSecure),
                    Question("a.example", .a): try addresses("192.0.2.1", secure: addressSecure),
                    Question("a.example", .aaaa): none,
                ])
            #expect(try hosts(end?.resolution).hosts[0].secure == (mxSecure && addressSecure))
        }
    }

    @Test func `a TTL is held within 5 seconds and a day`() throws {
        for (ttl, lifetime) in [(0, 5), (1, 5), (77, 77), (.max, 86_400)] {
            var lookup = try lookup()
            let end = run(
                &lookup,
                [
                    Question("example.com", .mx): mx((10, "a.example"), ttl: ttl),
                    Question("a.example", .a): try addresses("192.0.2.1", ttl: ttl),
                    Question("a.example", .aaaa): try addresses("2001:db8::1", ttl: ttl),
                ])
            #expect(end?.lifetime == lifetime)
        }
    }

    @Test func `answers nobody asked for and answers that come twice change nothing`() throws {
        var lookup = try lookup()
        let answer = mx((10, "a.example"))
        #expect(asked(lookup.received(answer, to: Question("other.example", .mx))) == nil)
        #expect(ended(lookup.received(try addresses("192.0.2.9"), to: Question("a.example", .a))) == nil)
        #expect(asked(lookup.received(answer, to: Question("example.com", .mx)))?.count == 2)
        #expect(asked(lookup.received(answer, to: Question("example.com", .mx))) == nil)
    }

    @Test func `a host that is named by an operator is not asked for MX`() throws {
        let lookup = HostLookup(host: try #require(DomainName("mx.example")))
        #expect(asked(lookup.start()) == [Question("mx.example", .a), Question("mx.example", .aaaa)])
    }
}
