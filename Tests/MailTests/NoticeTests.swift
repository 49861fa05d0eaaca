import Mail
import NIOCore
import Testing

/// Texts that show where each word goes.
private let texts = NoticeTexts(
    language: "en", from: "Mail System", failure: NoticeTexts.Passage(subject: "Failed", opening: "{host} {date} {id}"),
    delay: NoticeTexts.Passage(subject: "Verzögert: später", opening: "until {until}"),
    success: NoticeTexts.Passage(subject: "Relayed", opening: "ok"),
    undeliverable: NoticeTexts.Passage(subject: "Undeliverable", opening: "postmaster"), said: "{remote} said:",
    expired: "too late", noAnswer: "no answer", noAnswerYet: "no answer yet", trouble: "trouble:",
    relayed: "taken by {remote}", relayRefused: "refused by {sources}", relayDown: "down", relaySaid: "relay said:",
    reasons: [.tooLarge: "{limit}", .unknown: "unknown"], advice: [.recipient: "no such address"],
    headersFollow: "header follows", messageFollows: "message follows")

@Suite struct `A notice` {
    let now = Timestamp(milliseconds: 1_795_341_087_000)
    let ada = Address(localPart: "ada", domain: "example.org")

    func refusal(_ reply: Reply, cause: Cause = .recipient, host: String = "mx.example.org") -> Refusal {
        Refusal(host: host, phase: .rcpt, answer: .reply(reply), cause: cause, at: now)
    }

    func report(_ kind: RecipientReport.Kind = .failed, _ refusal: Refusal? = nil) -> RecipientReport {
        RecipientReport(recipient: ada, kind: kind, reason: "why", refusal: refusal, at: now)
    }

    func notice(
        _ reports: [RecipientReport], request: NoticeRequest? = nil, undeliverable: Bool = false
    ) -> Notice {
        Notice(
            id: MessageID(value: 7), boundary: "b0unda/ry", date: now, hostname: "relay.example",
            to: Address(localPart: "eve", domain: "example.com"),
            about: Notice.About(id: MessageID(value: 5), arrived: now, expires: now + .days(5), request: request),
            kind: reports[0].kind.notice, isUndeliverable: undeliverable, reports: reports, texts: texts)
    }

    func lines(_ notice: Notice, _ enclosure: Notice.Enclosure = .headers(encoded: false)) -> [String] {
        String(buffer: notice.opening(enclosure)).split(separator: "\r\n", omittingEmptySubsequences: false)
            .map(String.init)
    }

    @Test func `has the fields of its header once, and tells robots to be silent`() {
        let lines = lines(notice([report()]))
        let header = lines.prefix { !$0.isEmpty }
        #expect(
            header.map { $0.prefix { $0 != ":" } } == [
                "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted", "Content-Type",
                " boundary=\"b0unda/ry\"",
            ])
        #expect(header.contains("From: \"Mail System\" <MAILER-DAEMON@relay.example>"))
        #expect(header.contains("To: <eve@example.com>"))
        #expect(header.contains("Auto-Submitted: auto-replied"))
    }

    @Test func `has the fields for machines`() {
        var request = NoticeRequest(envelopeID: "QQ+2B31")
        request.add(ada, RecipientRequest(original: "rfc822;First+2BOne@x.example"))
        let lines = lines(
            notice([report(.failed, refusal(Reply(550, EnhancedStatus(5, 1, 1), "no")))], request: request))
        for wanted in [
            "Reporting-MTA: dns; relay.example", "Original-Envelope-Id: QQ+31",
            "Original-Recipient: rfc822;First+One@x.example", "Final-Recipient: rfc822; ada@example.org",
            "Action: failed", "Status: 5.1.1", "Remote-MTA: dns; mx.example.org",
            "Diagnostic-Code: smtp; 550 5.1.1 no", "Final-Log-ID: 0000000000005",
        ] { #expect(lines.contains(wanted), "\(wanted)") }
    }

    @Test(arguments: [
        (RecipientReport.Kind.failed, Reply(550, nil, "no"), Cause.recipient, "5.1.1"),
        (.failed, Reply(550, EnhancedStatus(4, 1, 1), "no"), .size, "5.3.4"),
        (.expired, Reply(450, EnhancedStatus(4, 2, 2), "full"), .mailbox, "4.2.2"),
        (.delayed, Reply(421, nil, "busy"), .host, "4.3.0"), (.relayed, Reply(250, nil, "ok"), .unknown, "2.1.9"),
    ])
    func `has a status that fits the reply`(
        _ kind: RecipientReport.Kind, _ reply: Reply, _ cause: Cause, _ status: String
    ) {
        #expect(report(kind, refusal(reply, cause: cause)).status.description == status)
    }

    @Test func `has a status where nobody replied`() {
        func status(_ kind: RecipientReport.Kind, _ phase: Phase, _ trouble: Answer.Trouble) -> String {
            let answer = Answer.trouble(trouble, "x")
            return report(kind, Refusal(host: nil, phase: phase, answer: answer, cause: .host, at: now))
                .status.description
        }
        #expect(status(.failed, .mail, .tooLarge) == "5.3.4")
        #expect(status(.expired, .mail, .tooLarge) == "5.3.4")
        #expect(status(.expired, .connect, .timeout) == "4.4.7")
        #expect(status(.delayed, .connect, .timeout) == "4.4.1")
        #expect(status(.delayed, .resolve, .timeout) == "4.4.3")
        #expect(report(.expired).status.description == "4.4.7")
    }

    static let hostile: [String] = [
        "a\r\nSubject: forged\r\n\r\nbody", "nul\0\u{1}\u{7F}", "\u{1B}[2J\u{9B}31m", "bidi \u{202E}txt",
        "caf\u{E9} \u{1F600}", "--b0unda/ry--\n\n--b0unda/ry", "   \n   \n \t ",
        String(repeating: "x", count: 10 << 20),
        String(repeating: "ab ", count: 1 << 20), String(repeating: "\u{E4}", count: 5_000),
        "\\x{41} =20 =?utf-8?Q?x?=",
        "{host} {remote", "", "\u{2028}\u{2029}\u{85}",
    ]

    /// By number: some of them are too long to be printed.
    @Test(arguments: hostile.indices)
    func `stays whole whatever a receiver said`(_ number: Int) {
        let words = Self.hostile[number]
        let reply = Refusal(
            host: words, phase: .rcpt, answer: .reply(Reply(550, nil, words)), cause: .recipient, at: now)
        let trouble = Refusal(
            host: nil, phase: .dot, answer: .trouble(.nonsense, words), cause: .protocol, at: now)
        let notice = notice([
            report(.failed, reply), report(.expired, trouble),
            RecipientReport(recipient: ada, kind: .failed, reason: words, at: now),
        ])
        let buffer = notice.opening(.headers(encoded: false))
        let lines = lines(notice)
        #expect(buffer.readableBytesView.allSatisfy { (32...126).contains($0) || $0 == 13 || $0 == 10 })
        #expect(lines.allSatisfy { $0.utf8.count <= 600 && !$0.contains("\r") && !$0.contains("\n") })
        #expect(lines.count { $0 == "--b0unda/ry" } == 3)
        #expect(!lines.contains("--b0unda/ry--"))
        let fields = ["Subject:", "Final-Recipient:", "Status:", "Diagnostic-Code:", "Action:"]
        #expect(fields.map { name in lines.count { $0.hasPrefix(name) } } == [1, 3, 3, 3, 3])
        #expect(!lines.contains { !$0.isEmpty && $0.allSatisfy { $0 == " " } })
        #expect(buffer.readableBytes < 100_000)
    }

    @Test func `encodes what is not US-ASCII in its subject and addresses`() {
        let delayed = RecipientReport(
            recipient: Address(localPart: "jörg", domain: "bücher.example"), kind: .delayed, reason: "x", at: now)
        let lines = lines(notice([delayed]))
        #expect(lines.contains("Subject: =?utf-8?Q?Verz=C3=B6gert=3A_sp=C3=A4ter?="))
        #expect(lines.contains("Final-Recipient: utf-8; j\\x{F6}rg@b\\x{FC}cher.example"))
        #expect(lines.contains { $0.hasPrefix("Will-Retry-Until: ") })
    }

    @Test func `quotes the first refusal that tells most`() {
        var first: Refusal?
        let silence = Refusal(
            host: "a", phase: .connect, answer: .trouble(.timeout, "timed out"), cause: .host, at: now)
        let greylisted = refusal(Reply(450, nil, "greylisted"), cause: .greylist)
        let listed = refusal(Reply(554, nil, "listed"), cause: .source)
        for (refusal, expected) in [
            (silence, silence), (greylisted, greylisted), (silence, greylisted), (listed, listed),
            (refusal(Reply(550, nil, "other")), listed), (silence, listed),
        ] {
            first.note(refusal)
            #expect(first == expected)
        }
    }
}

@Suite struct `What comes back of the original` {
    func fields(_ text: String, limit: Int = 1_000) -> String {
        String(buffer: ByteBuffer(ByteBuffer(string: text).headerFields(limit: limit)))
    }

    @Test func `are its header fields, up to the empty line`() {
        #expect(fields("A: b\r\n c\r\nD: e\r\n\r\nbody\r\n") == "A: b\r\n c\r\nD: e\r\n")
        #expect(fields("\r\nbody\r\n") == "")
        #expect(fields("A: b\r\nC: d") == "A: b\r\n")
        #expect(fields("A: b\r\nC: d\r\n\r\n", limit: 7) == "A: b\r\n")
        #expect(fields("") == "")
    }

    @Test(arguments: ["Subject: caf\u{E9}\r\n", "X: \0\r\n", "X: \(String(repeating: "y", count: 2_000))\r\n"])
    func `is encoded where it is no plain text`(_ text: String) {
        let bytes = ByteBuffer(string: text)
        #expect(ByteBuffer.needsEncoding(bytes.readableBytesView))
        var encoded = ByteBuffer()
        encoded.writeHeaders(of: bytes.readableBytesView)
        #expect(encoded.readableBytesView.allSatisfy { (32...126).contains($0) || $0 == 13 || $0 == 10 })
        #expect(String(buffer: encoded).split(separator: "\r\n").allSatisfy { $0.utf8.count <= 76 })
        #expect(decoded(String(buffer: encoded)) == Array(text.utf8))
    }

    @Test(arguments: [
        "trailing \r\n", "tab\t\r\n", "=\r\n", "a b", ".\r\n", "From x\r\n", "lone\rcr", "lf\nonly\n",
        String(repeating: "word ", count: 50), String(repeating: "\u{E4}", count: 200),
    ])
    func `decodes to what it was`(_ text: String) {
        var encoded = ByteBuffer()
        encoded.writeQuotedPrintable(text.utf8)
        let wanted = text.replacing("\r\n", with: "\n").replacing("\n", with: "\r\n")
        #expect(decoded(String(buffer: encoded)) == Array(wanted.utf8))
        #expect(String(buffer: encoded).split(separator: "\r\n").allSatisfy { $0.utf8.count <= 76 && $0.last != " " })
    }

    /// Quoted-printable by the letter of RFC 2045, the other way round.
    func decoded(_ text: String) -> [UInt8] {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "=") else {
                result.append(octet)
                continue
            }
            let pair = [rest.popFirst() ?? 0, rest.popFirst() ?? 0]
            if pair != [13, 10] { result.append(UInt8(String(decoding: pair, as: UTF8.self), radix: 16) ?? 0) }
        }
        return result
    }
}
