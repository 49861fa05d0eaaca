import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Signing

@Suite("DKIM signatures") struct SignatureTests {
    /// RFC 8463 appendix A.2.
    private static let pem = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """

    private static let time = Timestamp(milliseconds: 1_528_637_909_000)

    @Test func `Ed25519 makes the signature of RFC 8463 appendix A`() throws {
        let key = try SigningKey(pem: Self.pem)
        #expect(key.algorithm == .ed25519)
        #expect(key.record == "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
        var header: [UInt8] = []
        for (name, value) in [
            ("from", " Joe SixPack <joe@football.example.com>\r\n"),
            ("to", " Suzie Q <suzie@shopping.example.net>\r\n"), ("subject", " Is dinner ready?\r\n"),
            ("date", " Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"),
            ("message-id", " <20030712040037.46341.5F8J@football.example.com>\r\n"),
        ] {
            RelaxedField.append(name, value.utf8, to: &header)
        }
        let own = """
             v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
             d=football.example.com; i=@football.example.com;\r
             q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
             subject : date : message-id : from : subject : date;\r
             bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
             b=
            """
        RelaxedField.append("dkim-signature", own.utf8, to: &header, ends: false)
        #expect(
            try key.signature(of: header)
                == "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==")
    }

    @Test(arguments: SigningKey.Algorithm.allCases)
    func `a key comes back from its file, and signatures are as long as it says`(_ algorithm: SigningKey.Algorithm)
        throws
    {
        let key = try SigningKey(making: algorithm)
        let again = try SigningKey(pem: key.pem)
        #expect(again.algorithm == algorithm && again.record == key.record)
        #expect(try key.signature(of: [1, 2, 3]).utf8.count == key.signatureLength)
    }

    @Test(arguments: ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
    func `what is no key is refused without being shown`(_ pem: String) {
        #expect(throws: SigningKey.Unusable.self) { try SigningKey(pem: pem) }
        do { _ = try SigningKey(pem: pem) } catch { #expect(!"\(error)".contains("AAAA")) }
    }

    private static func signed(_ text: String, from start: Int = 0, _ entries: [Signer.Entry]) throws -> String? {
        let content = ByteBuffer(string: text)
        guard let signature = Signer(entries).begin(content, from: start, customer: "acme", at: time) else {
            return nil
        }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let fields = try signature.fields(on: loop, hashing: true).wait()
        #expect(fields.readableBytes == signature.blank.readableBytes)
        return String(buffer: fields)
    }

    private static func tag(_ name: String, of field: String) -> String? {
        field.split(separator: ";").map { $0.filter { !$0.isWhitespace } }.first { $0.hasPrefix("\(name)=") }
            .map { String($0.dropFirst(name.count + 1)) }
    }

    @Test func `what is there is covered, once more where nobody may add to it, and every line is short`() throws {
        let key = try SigningKey(pem: Self.pem)
        let text = "From: a@x.example\r\nTo: b\r\nReceived: x\r\nTo: c\r\nList-Id: l\r\nX-Own: 1\r\n\r\nhi\r\n"
        let found = try Self.signed(text, [Signer.Entry(domain: "X.example", selector: "s", key: key)])
        let field = try #require(found)
        let names = try #require(Self.tag("h", of: field)).split(separator: ":")
        #expect(names.count { $0 == "from" } == 2 && names.count { $0 == "to" } == 3)
        #expect(names.count { $0 == "subject" } == 1 && names.count { $0 == "list-id" } == 1)
        #expect(!names.contains("received") && !names.contains("x-own") && !names.contains("list-unsubscribe"))
        #expect(Self.tag("d", of: field) == "x.example" && Self.tag("t", of: field) == "1528637909")
        #expect(field.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 78 } && field.hasSuffix("\r\n"))
    }

    @Test func `keys of the author's domain sign, RSA first, or those of the nearest above it`() throws {
        let rsa = try SigningKey(making: .rsa)
        let small = try SigningKey(pem: Self.pem)
        let signer = Signer([
            Signer.Entry(domain: "x.example", selector: "a", key: small),
            Signer.Entry(domain: "x.example", selector: "b", key: rsa),
            Signer.Entry(domain: "own.x.example", selector: "c", key: small, customers: ["acme"]),
        ])
        func selectors(_ domain: String, _ customer: String = "acme") -> [String] {
            signer.entries(for: domain, of: customer).map(\.selector)
        }
        #expect(selectors("x.example") == ["b", "a"] && selectors("deep.own.x.example") == ["c"])
        #expect(selectors("own.x.example", "other") == ["b", "a"] && selectors("notx.example") == [])
        #expect(selectors("example") == [])
    }

    @Test(arguments: [
        ("<a@X.Example>", "x.example"), ("a@x.example", "x.example"), ("Ann <a@x.example>, b@y.example", "x.example"),
        ("\"b@y.example, c\" <a@x.example>", "x.example"), ("(b@y.example) a@x.example (c)", "x.example"),
        ("\"a@y.example\"@x.example", "x.example"), ("Ann\r\n <a@\r\n x.example>", "x.example"),
        ("friends: a@x.example, b@y.example;", "x.example"), ("\"<b@y.example>\" <a@x.example.>", "x.example"),
    ])
    func `the author's domain is that of the first mailbox`(_ value: String, _ domain: String) {
        #expect(AuthorDomain.first(in: value.utf8) == domain)
    }

    @Test(arguments: ["", "Ann", "<>", "a@[192.0.2.1]", "a@", "undisclosed:;", "a@caf\u{E9}!.example", "<a@x.example"])
    func `an author without a domain that can be signed for has none, or the one that it plainly has`(_ value: String) {
        #expect(AuthorDomain.first(in: value.utf8) == (value.hasPrefix("<a") ? "x.example" : nil))
    }

    @Test func `an author's U-labels find the key of their A-labels`() throws {
        let entry = Signer.Entry(domain: "xn--caf-dma.example", selector: "s", key: try SigningKey(pem: Self.pem))
        let signer = Signer([entry]) { $0 == "news.caf\u{E9}.example" ? "news.xn--caf-dma.example" : nil }
        func sign(_ author: String, _ signer: Signer) throws -> String? {
            let content = ByteBuffer(string: "From: \(author)\r\n\r\nhi\r\n")
            return try signer.begin(content, from: 0, customer: "acme", at: Self.time).map {
                String(buffer: try $0.fields())
            }
        }
        let fields = try #require(try sign("J\u{FC}rgen <j\u{FC}rgen@News.CAF\u{C9}.example>", signer))
        #expect(fields.contains(" d=xn--caf-dma.example; s=s;"))
        #expect(try sign("j@news.xn--caf-dma.example", signer) != nil)
        #expect(try sign("j@caf\u{E8}.example", signer) == nil)
        #expect(try sign("j@news.caf\u{E9}.example", Signer([entry])) == nil)
        let cut = ByteBuffer(bytes: Array("From: j@news.caf".utf8) + [0xC3] + Array(".example\r\n\r\n".utf8))
        #expect(signer.begin(cut, from: 0, customer: nil, at: Self.time) == nil)
        let long = String(repeating: "\u{E9}", count: 400) + ".example"
        let endless = Signer([entry]) { _ in String(repeating: "x.", count: 200) + entry.domain }
        #expect(try sign("j@\(long)", endless) == nil)
    }

    @Test func `what we write ourselves is signed by every key of the domain`() throws {
        let entry = Signer.Entry(
            domain: "x.example", selector: "s", key: try SigningKey(pem: Self.pem), customers: ["acme"])
        let content = ByteBuffer(string: "From: a@mx.x.example\r\n\r\nhi\r\n")
        for (customer, isSigned) in [("acme", true), ("other", false), (nil, true)] as [(String?, Bool)] {
            let signature = Signer([entry]).begin(content, from: 0, customer: customer, at: Self.time)
            #expect((signature != nil) == isSigned)
        }
    }

    @Test func `nothing is signed for strangers, without an author, or with more fields than anybody means`() throws {
        let entry = Signer.Entry(domain: "x.example", selector: "s", key: try SigningKey(pem: Self.pem))
        #expect(try Self.signed("From: a@y.example\r\n\r\nhi\r\n", [entry]) == nil)
        #expect(try Self.signed("Subject: x\r\n\r\nFrom: a@x.example\r\n", [entry]) == nil)
        let many = String(repeating: "To: b@y.example\r\n", count: 200)
        #expect(try Self.signed("From: a@x.example\r\n\(many)\r\nhi\r\n", [entry]) == nil)
        #expect(try Self.signed("From: a@x.example\r\n\r\n", [entry]) != nil)
    }
}
