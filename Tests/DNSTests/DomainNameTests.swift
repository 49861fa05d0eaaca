import DNS
import Testing

@Suite struct DomainNameTests {
    @Test(arguments: [
        ("Example.COM.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("_dmarc.a-.example", "_dmarc.a-.example"),
    ])
    func `a domain is lower-cased, without its last dot, in A-labels`(domain: String, name: String) {
        #expect(DomainName(domain)?.text == name)
    }

    @Test(arguments: [
        "", ".", "a..b", ".a", "a b", "a\0b", "192.0.2.1", "１９２.0.2.1", "1", "a/b.example", "ab\u{202E}.example",
        "[192.0.2.1]",
        "-ü-.example", String(repeating: "a", count: 64) + ".example",
        String(repeating: "abcdefg.", count: 40) + "example", String(repeating: "ü", count: 2_000) + ".example",
    ])
    func `what no host can be called is no name`(domain: String) {
        #expect(DomainName(domain) == nil)
    }
}
