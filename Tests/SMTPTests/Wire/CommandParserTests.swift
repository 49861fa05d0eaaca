import Mail
import SMTP
import Testing

@Suite("Command grammar")
struct CommandParserTests {
    @Test(arguments: [
        CommandFixture("EHLO client.example", .hello(name: "client.example", extended: true)),
        CommandFixture("ehlo [192.0.2.1]  ", .hello(name: "[192.0.2.1]", extended: true)),
        CommandFixture("Helo WIN_PC-7", .hello(name: "WIN_PC-7", extended: false)),
        CommandFixture("DATA", .data), CommandFixture("data \t ", .data), CommandFixture("RSET", .rset),
        CommandFixture("NOOP", .noop), CommandFixture("NOOP what ever", .noop), CommandFixture("QUIT", .quit),
        CommandFixture("HELP", .help), CommandFixture("help me", .help), CommandFixture("VRFY someone", .vrfy),
        CommandFixture("STARTTLS", .startTLS), CommandFixture("StartTls", .startTLS),
        CommandFixture("", fault: .unknown), CommandFixture(" NOOP", fault: .unknown),
        CommandFixture("NOOPS", fault: .unknown), CommandFixture("GET / HTTP/1.1", fault: .unknown),
        CommandFixture("NO\u{0}P", fault: .unknown), CommandFixture("STARTTLSX", fault: .unknown),
        CommandFixture("EXPN list", fault: .notImplemented), CommandFixture("AUTH PLAIN", .auth(.plain, initial: nil)),
        CommandFixture("BDAT 10 LAST", .bdat(octets: 10, last: true)), CommandFixture("EHLO", fault: .arguments),
        CommandFixture("EHLO a b", fault: .arguments), CommandFixture("EHLO (x)", fault: .arguments),
        CommandFixture("HELO \u{e4}.example", fault: .arguments), CommandFixture("DATA now", fault: .arguments),
        CommandFixture("RSET x", fault: .arguments), CommandFixture("QUIT x", fault: .arguments),
        CommandFixture("STARTTLS x", fault: .arguments), CommandFixture("VRFY", fault: .arguments),
        CommandFixture("EHLO " + String(repeating: "a", count: 256), fault: .arguments),
    ])
    func commands(_ fixture: CommandFixture) { fixture.check() }

    @Test(arguments: [
        CommandFixture("MAIL FROM:<>", mail(.null)),
        CommandFixture("MAIL FROM:<a@B.example>", mail(.address(address("a", "b.example")))),
        CommandFixture("mail from:<a@b> ", mail(.address(address("a", "b")))),
        CommandFixture("MAIL FROM: <a@b>", mail(.address(address("a", "b")))),
        CommandFixture("MAIL FROM:<@x.example,@y.example:a@b>", mail(.address(address("a", "b")))),
        CommandFixture("MAIL FROM:<@[192.0.2.1]:a@b>", mail(.address(address("a", "b")))),
        CommandFixture("MAIL FROM:<\"a>b\"@c>", mail(.address(address("\"a>b\"", "c")))),
        CommandFixture("MAIL FROM:<\"a\\\">\"@c>", mail(.address(address("\"a\\\">\"", "c")))),
        CommandFixture(
            "MAIL FROM:<a@b> SIZE=1000 BODY=8BITMIME SMTPUTF8",
            mail(.address(address("a", "b")), size: 1_000, eightBit: true, utf8: true)),
        CommandFixture("MAIL FROM:<> body=7bit size=0", mail(.null, size: 0)),
        CommandFixture("MAIL FROM:<> SIZE=99999999999999999999", mail(.null, size: .max)),
        CommandFixture("MAIL FROM:<ü@b> SMTPUTF8", mail(.address(address("ü", "b")), nonASCII: true, utf8: true)),
        CommandFixture("MAIL FROM:<a@b>SIZE=1", fault: .arguments),
        CommandFixture("MAIL", fault: .arguments), CommandFixture("MAIL FROM", fault: .arguments),
        CommandFixture("MAIL FROM:", fault: .arguments), CommandFixture("MAIL FROM:a@b", fault: .arguments),
        CommandFixture("MAIL FROM:<a@b", fault: .arguments), CommandFixture("MAIL TO:<a@b>", fault: .arguments),
        CommandFixture("MAIL FROM:<> SIZE", fault: .arguments), CommandFixture("MAIL FROM:<> SIZE=", fault: .arguments),
        CommandFixture("MAIL FROM:<> SIZE=-1", fault: .arguments),
        CommandFixture("MAIL FROM:<> SIZE=1 SIZE=2", fault: .arguments),
        CommandFixture("MAIL FROM:<> SIZE=999999999999999999999", fault: .arguments),
        CommandFixture("MAIL FROM:<> BODY=BINARYMIME", fault: .arguments),
        CommandFixture("MAIL FROM:<> SMTPUTF8=1", fault: .arguments),
        CommandFixture("MAIL FROM:<> MT-PRIORITY=3", fault: .unknownParameter),
        CommandFixture("MAIL FROM:<> =", fault: .unknownParameter),
        CommandFixture("MAIL FROM:<a>", fault: .sender(.syntax)),
        CommandFixture("MAIL FROM:<postmaster>", fault: .sender(.syntax)),
        CommandFixture("MAIL FROM:<a@b c>", fault: .sender(.syntax)),
        CommandFixture("MAIL FROM:<@x.example a@b>", fault: .sender(.syntax)),
    ])
    func `MAIL with its parameters`(_ fixture: CommandFixture) { fixture.check() }

    @Test(arguments: [
        CommandFixture("RCPT TO:<a@b>", .rcpt(.address(address("a", "b"), nonASCII: false))),
        CommandFixture("rcpt to:<@x:a@b>", .rcpt(.address(address("a", "b"), nonASCII: false))),
        CommandFixture("RCPT TO:<用户@例子>", .rcpt(.address(address("用户", "例子"), nonASCII: true))),
        CommandFixture("RCPT TO:<Postmaster>", .rcpt(.postmaster)),
        CommandFixture("RCPT TO:<postmaster@b>", .rcpt(.address(address("postmaster", "b"), nonASCII: false))),
        CommandFixture("RCPT TO:<>", fault: .recipient(.syntax)),
        CommandFixture("RCPT TO:<a>", fault: .recipient(.syntax)),
        CommandFixture("RCPT TO:<a@b> RRVS=2026-01-01T00:00:00Z", fault: .unknownParameter),
        CommandFixture(
            "RCPT TO:<" + String(repeating: "l", count: 65) + "@b>", fault: .recipient(.localPartTooLong)),
        CommandFixture("RCPT FROM:<a@b>", fault: .arguments),
    ])
    func `RCPT`(_ fixture: CommandFixture) { fixture.check() }

    @Test
    func `a path ends at 256 octets, brackets and source route included`() {
        let domain = Array(repeating: String(repeating: "d", count: 47), count: 5).joined(separator: ".")
        let local = String(repeating: "l", count: 254 - 1 - domain.utf8.count)
        CommandFixture(
            "RCPT TO:<\(local)@\(domain)>", .rcpt(.address(address(local, domain), nonASCII: false))
        ).check()
        CommandFixture("RCPT TO:<l\(local)@\(domain)>", fault: .pathTooLong).check()
        CommandFixture("MAIL FROM:<@x:\(local)@\(domain)>", fault: .pathTooLong).check()
    }

    @Test
    func `random octets never trap`() {
        var random = SystemRandomNumberGenerator()
        let starts = ["MAIL FROM:<", "RCPT TO:<", "EHLO ", "", "MAIL FROM:<> "]
        for _ in 0..<20_000 {
            var octets = Array((starts.randomElement(using: &random) ?? "").utf8)
            for _ in 0..<Int.random(in: 0..<40, using: &random) {
                let plain = Array("<>@\"\\[]:,.= SIZE1a".utf8).randomElement(using: &random) ?? 0
                octets.append(Bool.random(using: &random) ? plain : UInt8.random(in: 0...255, using: &random))
            }
            octets.withUnsafeBytes { _ = try? CommandParser.parse($0) }
        }
    }
}
