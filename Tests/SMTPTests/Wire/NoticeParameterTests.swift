import Mail
import NIOCore
import Testing

@testable import SMTP

/// The parameters of RFC 3461 as clients write them, well and badly.
@Suite struct `Parameters for notices` {
    func parse(_ line: String) throws -> Command {
        var line = Array(line.utf8)
        return try line.withUnsafeMutableBytes { try CommandParser.parse(UnsafeRawBufferPointer($0)) }
    }

    func request(_ parameters: String) throws -> RecipientRequest? {
        guard case .rcpt(_, let request) = try parse("RCPT TO:<a@b> \(parameters)") else { return nil }
        return request
    }

    @Test func `of MAIL are read in any order and case`() throws {
        guard case .mail(let command) = try parse("MAIL FROM:<a@b> envid=QQ+2B314159 SIZE=3 ret=hdrs") else {
            Issue.record("not a MAIL command")
            return
        }
        #expect(command.returned == .headers)
        #expect(command.envelopeID == "QQ+2B314159")
        #expect(command.size == 3)
    }

    @Test(arguments: [
        "RET=ALL", "RET", "RET=FULL RET=FULL", "ENVID=", "ENVID=a=b", "ENVID=a+2b", "ENVID=a+", "ENVID=a+0D+0AX:+20y",
        "ENVID=é", "ENVID=a ENVID=b", "ENVID=\(String(repeating: "x", count: 101))",
    ])
    func `of MAIL that are wrong are refused`(_ parameters: String) {
        #expect(throws: CommandFault.arguments) { try parse("MAIL FROM:<a@b> \(parameters)") }
    }

    static let wishes: [(String, RecipientRequest.Notify)] = [
        ("NOTIFY=NEVER", .never), ("notify=success", .success), ("NOTIFY=DELAY,FAILURE", [.failure, .delay]),
        ("NOTIFY=SUCCESS,FAILURE,DELAY", [.success, .failure, .delay]),
    ]

    @Test(arguments: wishes)
    func `of RCPT say when to notify`(_ parameters: String, _ notify: RecipientRequest.Notify) throws {
        #expect(try request(parameters)?.notify == notify)
    }

    @Test func `of RCPT keep the original recipient as it was written`() throws {
        #expect(try request("ORCPT=rfc822;Bob+2Bx@Example.COM")?.original == "rfc822;Bob+2Bx@Example.COM")
        #expect(try request("NOTIFY=NEVER ORCPT=x-y;1+20z")?.original == "x-y;1+20z")
        #expect(try request("ORCPT=utf-8;j\u{F6}rg@b")?.original == "utf-8;j\\x{F6}rg@b")
    }

    @Test func `that are absent ask for nothing`() throws {
        #expect(try parse("RCPT TO:<a@b>") == .rcpt(.address(Address(localPart: "a", domain: "b"), nonASCII: false)))
    }

    @Test(arguments: [
        "NOTIFY=", "NOTIFY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,", "NOTIFY=,DELAY", "NOTIFY=SOMETIMES",
        "NOTIFY=DELAY NOTIFY=DELAY", "ORCPT=", "ORCPT=bob@b", "ORCPT=;bob@b", "ORCPT=rfc822;", "ORCPT=rfc 822;b",
        "ORCPT=rfc822;a+00", "ORCPT=rfc822;a+0D+0Ab", "ORCPT=rfc822;j\u{F6}rg@b", "ORCPT=r\u{E9};b",
        "ORCPT=rfc822;a ORCPT=rfc822;a", "ORCPT=rfc822;\(String(repeating: "x", count: 500))",
    ])
    func `of RCPT that are wrong are refused`(_ parameters: String) {
        #expect(throws: CommandFault.self) { try parse("RCPT TO:<a@b> \(parameters)") }
    }

    @Test func `reach the envelope with their recipients`() throws {
        var envelope = Envelope(MailCommand(sender: .null))
        #expect(envelope.request.isEmpty)
        for number in 1...20 {
            envelope.add(
                Address(localPart: "\(number)", domain: "b"), nonASCII: false,
                number % 2 == 0 ? RecipientRequest(notify: .never) : nil)
        }
        let request: NoticeRequest? = envelope.request
        #expect(request?.recipients.count == 10)
        #expect(!request.wants(.failure, for: Address(localPart: "4", domain: "b")))
        #expect(request.wants(.failure, for: Address(localPart: "5", domain: "b")))
        #expect(!request.wants(.success, for: Address(localPart: "5", domain: "b")))
    }
}

/// What goes on to the next host.
@Suite struct `Commands to a host` {
    func envelope() -> ClientEnvelope {
        var request = NoticeRequest(returned: .full, envelopeID: "QQ+2B1")
        request.add(
            Address(localPart: "bob", domain: "b"),
            RecipientRequest(notify: [.success, .delay], original: "rfc822;Bob@b"))
        request.add(Address(localPart: "eve", domain: "b"), RecipientRequest(notify: .never))
        return ClientEnvelope(
            sender: .address(Address(localPart: "a", domain: "b")),
            recipients: [
                Address(localPart: "bob", domain: "b"), Address(localPart: "eve", domain: "b"),
                Address(localPart: "joe", domain: "b"),
            ], size: 3, eightBit: false, utf8: false, request: request, content: .inline(ByteBuffer(string: "x\r\n")))
    }

    func commands(_ features: HostFeatures) -> [String] {
        var output = ByteBuffer()
        let envelope = envelope()
        output.writeMail(envelope, needsUTF8: false, features: features)
        for recipient in envelope.recipients {
            output.writeRecipient(recipient, envelope, utf8: false, features: features)
        }
        return String(buffer: output).split(separator: "\r\n").map(String.init)
    }

    @Test func `that offers DSN carry what was asked`() {
        var features = HostFeatures()
        features.notices = true
        #expect(
            commands(features) == [
                "MAIL FROM:<a@b> RET=FULL ENVID=QQ+2B1", "RCPT TO:<bob@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@b",
                "RCPT TO:<eve@b> NOTIFY=NEVER", "RCPT TO:<joe@b>",
            ])
    }

    @Test func `that does not offer it carry nothing of it`() {
        #expect(
            commands(HostFeatures()) == [
                "MAIL FROM:<a@b>", "RCPT TO:<bob@b>", "RCPT TO:<eve@b>", "RCPT TO:<joe@b>",
            ])
    }

    @Test func `are known from its EHLO reply`() {
        #expect(HostFeatures(ehlo: Reply(250, nil, "mx\nPIPELINING\ndsn")).notices)
        #expect(!HostFeatures(ehlo: Reply(250, nil, "DSN\nPIPELINING")).notices)
    }
}
