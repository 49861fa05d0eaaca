import Mail
import Testing

@Suite("Address grammar")
struct AddressGrammarTests {
    @Test(
        "reads what RFC 5321 allows",
        arguments: [
            ("a@b", "a", "b"),
            ("first.last+tag@Mail.Example.COM", "first.last+tag", "mail.example.com"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~", "example.com"),
            ("\"quoted local\"@example.com", "\"quoted local\"", "example.com"),
            ("\"a@b>c\\\"d\\\\\"@example.com", "\"a@b>c\\\"d\\\\\"", "example.com"),
            ("\"\"@example.com", "\"\"", "example.com"),
            ("user@[192.0.2.1]", "user", "[192.0.2.1]"),
            ("user@[IPv6:2001:DB8::1]", "user", "[ipv6:2001:db8::1]"),
            ("user@[IPv6:::ffff:192.0.2.1]", "user", "[ipv6:::ffff:192.0.2.1]"),
            ("user@1.example", "user", "1.example"),
            ("Grüße@Bücher.example", "Grüße", "bücher.example"),
            ("用户@例子.广告", "用户", "例子.广告"),
        ])
    func reads(_ text: String, localPart: String, domain: String) throws {
        #expect(try Address(parsing: text) == Address(localPart: localPart, domain: domain))
    }

    @Test(
        "refuses everything else",
        arguments: [
            "", "a", "@", "a@", "@b", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b c", "a@-b", "a@b-", "a@b..c", "a@.b",
            "a@b.", "a@b_c", "\"a@b", "\"a\"b@c", "a\"b\"@c", "\"a\u{1}\"@b", "\"a\\\u{7f}\"@b", "a(c)@b", "a@[",
            "a@[]",
            "a@[1.2.3]", "a@[1.2.3.256]", "a@[1.2.3.4", "a@[2001:db8::1]", "a@[IPv6:1.2.3.4]", "a@[IPv6:12345::]",
            "a@[IPv6:2001:db8::1%eth0]", "a@[x:y]", "a@b>", "a@b\r\n", "a@b\0", "a,b@c", "a@b@c", "<a@b>",
        ])
    func refuses(_ text: String) {
        #expect(throws: AddressFault.syntax) { try Address(parsing: text) }
    }

    @Test
    func `a local part ends at 64 octets, a label at 63, a domain at 255`() throws {
        let label = String(repeating: "d", count: 63)
        _ = try Address(parsing: String(repeating: "l", count: 64) + "@\(label)")
        #expect(throws: AddressFault.localPartTooLong) {
            try Address(parsing: String(repeating: "l", count: 65) + "@d")
        }
        #expect(throws: AddressFault.localPartTooLong) {
            try Address(parsing: "\"" + String(repeating: "l", count: 63) + "\"@d")
        }
        #expect(throws: AddressFault.domainTooLong) { try Address(parsing: "l@d\(label)") }
        let long = Array(repeating: label, count: 4).joined(separator: ".")
        #expect(long.utf8.count == 255)
        _ = try Address(parsing: "l@\(long)")
        #expect(throws: AddressFault.domainTooLong) { try Address(parsing: "l@a.\(long)") }
    }

    @Test(
        "octets above 127 must be UTF-8",
        arguments: [[0x61, 0xFF], [0xC3], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]])
    func notUTF8(_ octets: [UInt8]) {
        for octets in [octets + Array("@b".utf8), Array("a@".utf8) + octets] {
            #expect(throws: AddressFault.notUTF8) {
                var index = 0
                _ = try AddressGrammar.mailbox(octets.span, &index)
            }
        }
    }

    @Test
    func `random octets never trap`() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("a.@\"\\[]:<>IPv6-1 \u{FF}".utf8)
        for _ in 0..<20_000 {
            let octets = (0..<Int.random(in: 0..<24, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            var index = 0
            if (try? AddressGrammar.mailbox(octets.span, &index)) != nil { #expect(index <= octets.count) }
        }
    }
}
