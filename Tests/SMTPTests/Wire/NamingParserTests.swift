import Mail
import Testing

@testable import SMTP

/// XCLIENT as load balancers write it.
struct NamingParserTests {
    private func read(_ text: String) -> NamedClient? {
        let octets = Array(text.utf8)
        return octets.withUnsafeBytes { NamingParser.xclient(Span(_unsafeBytes: $0), 0..<octets.count) }
    }

    @Test func `everything at once`() throws {
        let client = try #require(
            read(
                "NAME=mail.client.example ADDR=198.51.100.7 PORT=4000 PROTO=ESMTP HELO=[198.51.100.7] "
                    + "LOGIN=app+2B1@a.example DESTADDR=192.0.2.1 DESTPORT=25"))
        #expect(client.place == .at(try #require(IPAddress("198.51.100.7"))))
        #expect(client.name == "mail.client.example")
        #expect(client.port == 4_000)
        #expect(client.extended == true)
        #expect(client.hello == "[198.51.100.7]")
        #expect(client.login == "app+1@a.example")
    }

    @Test func `what is not known`() throws {
        let words = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"]
        for value in ["[UNAVAILABLE]", "[TEMPUNAVAIL]", "[unavailable]"] {
            var nothing = NamedClient()
            nothing.place = .unknown
            #expect(read(words.map { "\($0)=\(value)" }.joined(separator: " ")) == nothing)
        }
        #expect(read("LOGIN=a")?.place == nil)
    }

    @Test func `IPv6 has its prefix, IPv4 has none`() throws {
        #expect(read("ADDR=IPV6:2001:db8::7")?.place == .at(try #require(IPAddress("2001:db8::7"))))
        #expect(read("addr=ipv6:2001:db8::7")?.place == .at(try #require(IPAddress("2001:db8::7"))))
        #expect(read("ADDR=IPV6:::ffff:198.51.100.7")?.place == .at(try #require(IPAddress("198.51.100.7"))))
        for text in ["2001:db8::7", "::ffff:198.51.100.7", "IPV6:198.51.100.7", "IPV6:", "IPV6:[2001:db8::7]", "x"] {
            #expect(read("ADDR=\(text)") == nil, "\(text)")
        }
    }

    @Test(arguments: [
        "", "ADDR", "=", "ADDR=", "=x", "PORT=0", "PORT=65536", "PORT=+1", "PORT=999999", "PORT=1 PORT=2", "PROTO=LMTP",
        "NAME=a+2", "NAME=a+0a", "NAME=a+0A", "NAME=a+00", "NAME=a_(b)", "NAME=grüße", "HELO=a+20b", "HELO=a b",
        "LOGIN=a=b", "COLOUR=red", "ADDR=198.51.100.7\u{0}", "DESTADDR=x", "DESTPORT=x",
    ])
    func `anything else is refused`(_ text: String) { #expect(read(text) == nil) }

    @Test func `long values are refused`() {
        for word in ["NAME", "HELO", "LOGIN"] {
            #expect(read("\(word)=\(String(repeating: "a", count: 255))") != nil)
            #expect(read("\(word)=\(String(repeating: "a", count: 256))") == nil)
        }
    }
}
