import DNS
import Mail
import Synchronization
import Testing

@Suite struct ZoneResolverTests {
    private let zone = """
        example.com          MX 10 mx1.example.com    ; the good one
        example.com          MX 20 mx2.example.com.
        mx1.example.com      A 192.0.2.1
        mx1.example.com      AAAA 2001:db8::1
        mx2.example.com      CNAME real.example.com
        real.example.com     A 192.0.2.2
        www.example.com      CNAME example.com
        loop.example.com     CNAME pool.example.com
        pool.example.com     CNAME loop.example.com
        null.example.com     MX 0 .
        broken.example.com   FAIL SERVFAIL
        xn--bcher-kva.example MX 1 mx1.example.com
        """

    private func tell(_ domain: String) throws -> String {
        let resolver = ZoneResolver(try Zone(zone))
        let told = Mutex<Resolution?>(nil)
        resolver.resolve(domain) { answer in told.withLock { $0 = answer } }
        #expect(resolver.cached(domain) != nil)
        switch told.withLock({ $0 }) {
        case .hosts(let hosts):
            return hosts.hosts.map { host in
                "\(host.preference) \(host.name) \(host.addresses.map(\.description).joined(separator: " "))"
            }.joined(separator: "; ")
        case .never(.noSuchDomain): return "no such domain"
        case .never(.nullMX): return "null MX"
        case .never(.noUsableHost): return "no usable host"
        case .later: return "later"
        case nil: return "nothing"
        }
    }

    @Test(arguments: [
        ("example.com", "10 mx1.example.com 192.0.2.1 2001:db8::1; 20 mx2.example.com 192.0.2.2"),
        ("www.example.com", "10 mx1.example.com 192.0.2.1 2001:db8::1; 20 mx2.example.com 192.0.2.2"),
        ("real.example.com", "0 real.example.com 192.0.2.2"), ("loop.example.com", "later"),
        ("null.example.com", "null MX"), ("broken.example.com", "later"), ("nowhere.example.com", "no such domain"),
        ("bücher.example", "1 mx1.example.com 192.0.2.1 2001:db8::1"), ("[192.0.2.9]", "0 [192.0.2.9] 192.0.2.9"),
        ("[IPv6:2001:db8::9]", "0 [IPv6:2001:db8::9] 2001:db8::9"), ("[2001:db8::9]", "no such domain"),
        ("[IPv6:192.0.2.1]", "no such domain"), ("[mx1.example.com]", "no such domain"), ("a b", "no such domain"),
    ])
    func `a zone answers like the DNS`(domain: String, answer: String) throws {
        #expect(try tell(domain) == answer)
    }

    @Test func `a line that is not understood is named`() {
        let error = #expect(throws: Zone.SyntaxError.self) { try Zone("a A 192.0.2.1\nb A 1.2.3") }
        #expect(error?.description == "zone line 2: b A 1.2.3")
        #expect(throws: Zone.SyntaxError.self) { try Zone("a MX ten b") }
        #expect(throws: Zone.SyntaxError.self) { try Zone("a AAAA 192.0.2.1") }
    }

    @Test func `a change is seen at once`() throws {
        let resolver = ZoneResolver(try Zone(zone))
        resolver.resolve("example.com") { _ in }
        resolver.resolve("example.com") { _ in }
        #expect(resolver.lookups == ["example.com"])
        resolver.change { $0.fail("example.com", "SERVFAIL") }
        #expect(resolver.cached("example.com") == nil)
    }
}
