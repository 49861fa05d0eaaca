import Testing

@testable import DNS

@Suite struct NameServerTests {
    @Test(arguments: [
        ("127.0.0.1:5353", "127.0.0.1@5353"), ("192.0.2.53", "192.0.2.53@53"), ("[::1]:5353", "::1@5353"),
        ("[::1]", "::1@53"), ("2001:db8::53", "2001:db8::53@53"),
    ])
    func `an address with or without a port`(text: String, forward: String) {
        #expect(NameServer(text)?.forwardAddress == forward)
    }

    @Test(arguments: [
        "", "dns.example", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+53", "[127.0.0.1]:53", "[::1",
        "[::1]:", "[::1]x", ":53", "127.0.0.1:53:53", "127.0.0.1@53",
    ])
    func `anything else is none`(text: String) {
        #expect(NameServer(text) == nil)
    }
}
