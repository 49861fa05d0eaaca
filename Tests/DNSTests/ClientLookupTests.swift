import DNS
import Mail
import Testing

/// Names that a client's address leads to and that lead back to it.
@Suite struct ClientLookupTests {
    private let client = IPAddress(v4: 0xC000_0211)
    private let reverse = Question("17.2.0.192.in-addr.arpa", .ptr)

    private func pointers(_ names: String..., ttl: Int = 600) -> Lookup {
        .records(names.map { .pointer($0) }, ttl: ttl, secure: false)
    }

    private func addresses(_ texts: String..., ttl: Int = 600) throws -> Lookup {
        .records(try texts.map { .address(try #require(IPAddress($0))) }, ttl: ttl, secure: false)
    }

    /// The name and how long it holds; or why there is none.
    private func told(_ step: HostLookup.Step) -> String? {
        guard case .done(let resolved) = step else { return nil }
        return told(resolved)
    }

    private func told(_ resolved: HostLookup.Resolved) -> String {
        switch resolved.resolution {
        case .hosts(let hosts): "\(hosts.hosts.map(\.name).joined(separator: " ")) \(resolved.lifetime)"
        case .never: "none \(resolved.lifetime)"
        case .later: "later \(resolved.lifetime)"
        }
    }

    private func asked(_ step: HostLookup.Step) -> [Question]? {
        if case .ask(let questions) = step { questions } else { nil }
    }

    @Test func `a name that leads back is the client's, and holds as long as both answers`() throws {
        var lookup = ClientLookup(client)
        #expect(asked(lookup.start()) == [reverse])
        let step = lookup.received(pointers("forged.example", "Mail.example", ttl: 90), to: reverse)
        #expect(asked(step) == [Question("forged.example", .a), Question("mail.example", .a)])
        #expect(told(lookup.received(try addresses("192.0.2.18"), to: Question("forged.example", .a))) == nil)
        #expect(
            told(lookup.received(try addresses("192.0.2.9", "192.0.2.17"), to: Question("mail.example", .a)))
                == "mail.example 90")
    }

    @Test func `a client of IPv6 is asked for by its family`() throws {
        var lookup = ClientLookup(try #require(IPAddress("2001:db8::1")))
        guard let question = asked(lookup.start())?.first else { return #expect(Bool(false)) }
        #expect(question.name.hasSuffix(".8.b.d.0.1.0.0.2.ip6.arpa"))
        #expect(asked(lookup.received(pointers("six.example"), to: question)) == [Question("six.example", .aaaa)])
        #expect(
            told(lookup.received(try addresses("2001:db8::1"), to: Question("six.example", .aaaa))) == "six.example 600"
        )
    }

    @Test func `no name, a name that leads elsewhere, and one that is no host's are none`() throws {
        for answer in [
            .noName(ttl: 5, secure: false), .noData(ttl: 5, secure: false), pointers("localhost"), pointers(""),
            pointers("a b.example"), pointers("192.0.2.17"),
        ] as [Lookup] {
            var lookup = ClientLookup(client)
            #expect(told(lookup.received(answer, to: reverse)) == "none 300")
        }
        var lookup = ClientLookup(client)
        _ = lookup.received(pointers("mail.example"), to: reverse)
        let way = Question("mail.example", .a)
        #expect(told(lookup.received(.noName(ttl: 5, secure: false), to: way)) == "none 300")
    }

    @Test func `what could not be asked is asked again soon`() throws {
        var lookup = ClientLookup(client)
        #expect(told(lookup.outOfTime()) == "later 20")
        #expect(told(lookup.received(.failed("SERVFAIL"), to: reverse)) == "later 20")
        lookup = ClientLookup(client)
        _ = lookup.received(pointers("one.example", "two.example"), to: reverse)
        #expect(told(lookup.outOfTime()) == "later 20")
        #expect(!lookup.hasUsableHost)
        #expect(told(lookup.received(try addresses("192.0.2.17"), to: Question("two.example", .a))) == nil)
        #expect(lookup.hasUsableHost && told(lookup.outOfTime()) == "two.example 600")
        #expect(told(lookup.received(.failed("x"), to: Question("one.example", .a))) == "two.example 600")
    }

    @Test func `a thousand names cost five questions, and what was not asked for nothing`() {
        var lookup = ClientLookup(client)
        let many = Lookup.records((0..<256).map { .pointer("h\($0).example") }, ttl: 9, secure: false)
        #expect(asked(lookup.received(many, to: reverse))?.count == 5)
        #expect(told(lookup.received(many, to: reverse)) == nil)
        #expect(told(lookup.received(.failed("x"), to: Question("h9.example", .a))) == nil)
    }
}
