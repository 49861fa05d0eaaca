import Intake
import Mail
import NIOCore
import Queue
import SMTP
import Testing

@Suite("Receiving", .timeLimit(.minutes(2)))
struct ReceivingTests {
    @Test
    func `a message is kept as it came, below our Received`() async throws {
        try await Relay.with { relay in
            let client = try await relay.client()
            #expect(try await client.ask("MAIL FROM:<a@B.example> SIZE=100 BODY=8BITMIME") == "250 2.1.0 Ok\r\n")
            #expect(try await client.ask("RCPT TO:<c@D.example>") == "250 2.1.5 Ok\r\n")
            #expect(try await client.ask("DATA").hasPrefix("354 "))
            let text = "Date: today\r\nMessage-ID: <x@y>\r\nSubject: x\r\n\r\n..dot\r\nGr\u{fc}\u{df}e\r\n"
            let answer = try await client.ask(text + ".")
            let accepted = try #require(relay.mail.accepted.first)
            let message = accepted.message
            #expect(answer == "250 2.0.0 Ok: queued as \(message.id)\r\n")
            #expect(
                relay.content(accepted) == """
                    Received: from client.example ([127.0.0.1])\r
                    \tby relay.example with ESMTP id \(message.id)\r
                    \tfor <c@d.example>; Sun, 22 Nov 2026 09:51:27 +0000\r
                    Date: today\r
                    Message-ID: <x@y>\r
                    Subject: x\r
                    \r
                    .dot\r
                    Grüße\r

                    """)
            #expect(message.size == relay.content(accepted).utf8.count)
            #expect(message.customer == "acme" && message.eightBit && !message.utf8)
            #expect(message.sender == .address(Address(localPart: "a", domain: "b.example")))
            #expect(accepted.recipients == [Address(localPart: "c", domain: "d.example")])
            #expect(message.expires == message.arrived + .days(5))
            #expect(accepted.trace.helo == "client.example" && accepted.trace.tls == nil)
            #expect(accepted.trace.client == IPAddress(v4: 0x7F00_0001) && accepted.trace.size == message.size)
            #expect(try await client.ask("QUIT") == "221 2.0.0 Bye\r\n")
            #expect(try await client.rest() == "")
        }
    }

    @Test(arguments: [
        ("Subject: x\r\n\r\nbody\r\n", true), ("\r\nbody\r\n", true), ("hello\r\n", false), ("", true),
    ])
    func `Date and Message-ID are added only when missing`(_ text: String, hasHeader: Bool) async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            #expect(try await client.ask(text + ".").hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            let added =
                "Date: Sun, 22 Nov 2026 09:51:27 +0000\r\nMessage-ID: <\(accepted.message.id)@relay.example>\r\n"
            #expect(relay.content(accepted).hasSuffix("+0000\r\n" + added + (hasHeader ? "" : "\r\n") + text))
        }
    }

    @Test
    func `with two recipients neither is named, and a repeated one gets one copy`() async throws {
        try await Relay.with { relay in
            let client = try await relay.client()
            let commands = "MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nRCPT TO:<c@D>\r\nDATA"
            _ = try await client.ask(commands, replies: 5)
            #expect(try await client.ask("x\r\n.").hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            #expect(accepted.recipients.count == 2 && accepted.message.sender == .null)
            #expect(!relay.content(accepted).contains("for <"))
        }
    }

    @Test
    func `UTF-8 in a header asks for SMTPUTF8 where the client did, addresses speak for themselves`() async throws {
        try await Relay.with { relay in
            let client = try await relay.client()
            let text = "Subject: Grüße\r\n\r\nx\r\n."
            _ = try await client.ask("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA", replies: 3)
            _ = try await client.ask(text)
            _ = try await client.ask("MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<c@d>\r\nDATA", replies: 3)
            _ = try await client.ask(text)
            _ = try await client.ask("MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<用户@例子.example>\r\nDATA", replies: 3)
            _ = try await client.ask("Subject: x\r\n\r\nx\r\n.")
            #expect(relay.mail.accepted.map(\.message.utf8) == [false, true, false])
            #expect(relay.mail.accepted.map(\.message.eightBit) == [true, true, false])
            #expect(relay.mail.accepted.last.map { relay.content($0).contains("with UTF8SMTP id") } == true)
        }
    }

    @Test
    func `10 MB go through the file while they arrive`() async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            let line = String(repeating: "0123456789", count: 97) + "\r\n"
            let text = "Subject: large\r\n\r\n" + String(repeating: line, count: 10_800)
            #expect(text.utf8.count > 10 << 20)
            #expect(try await client.ask(text + ".").hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            guard case .file = accepted.message.content else {
                Issue.record("content above 64 KiB was kept inline")
                return
            }
            let content = relay.content(accepted)
            #expect(content.hasSuffix(text) && content.utf8.count == accepted.message.size)
            #expect(content.hasPrefix("Received: from client.example") && content.contains("\r\nMessage-ID: <"))
            #expect(relay.files.abandoned == 0)
        }
    }

    @Test(arguments: [65_000, 65_300, 65_400, 65_500, 65_536, 65_600, 66_000])
    func `around 64 KiB nothing is lost`(_ size: Int) async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            let text =
                String(("Subject: x\r\n\r\n" + String(repeating: "line of text\r\n", count: 5_000)).prefix(size))
                + "\r\n"
            #expect(try await client.ask(text + ".").hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            #expect(relay.content(accepted).hasSuffix(text))
            #expect(relay.content(accepted).utf8.count == accepted.message.size)
            if case .inline(let bytes) = accepted.message.content { #expect(bytes.readableBytes <= 65_536) }
        }
    }

    @Test
    func `a slow disk slows the client down`() async throws {
        try await Relay.with { relay in
            relay.files.stall()
            let client = try await relay.clientInData()
            let line = String(repeating: "x", count: 900) + "\r\n"
            let text = "Subject: x\r\n\r\n" + String(repeating: line, count: 12_000)
            async let answer = client.ask(text + ".")
            try await Task.sleep(for: .milliseconds(500))
            #expect(relay.files.highestBacklog < 2 << 20)
            relay.files.goOn()
            #expect(try await answer.hasPrefix("250 "))
            #expect(relay.mail.accepted.first.map { relay.content($0).hasSuffix(text) } == true)
        }
    }

    @Test
    func `a broken disk, a refused commit and a vanished client leave no file behind`() async throws {
        try await Relay.with { relay in
            let text = "Subject: x\r\n\r\n" + String(repeating: "line of text\r\n", count: 20_000)
            relay.mail.refuse("disk on fire")
            var client = try await relay.clientInData()
            #expect(try await client.ask(text + ".") == "451 4.3.0 Cannot store mail, try again later\r\n")
            #expect(relay.files.removed.count == 1)
            relay.mail.refuse(nil)

            client = try await relay.clientInData()
            try await client.send(text)
            try await client.close()
            for _ in 0..<1_000 where relay.files.abandoned == 0 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(relay.files.abandoned == 1)

            relay.files.fail()
            client = try await relay.clientInData()
            #expect(try await client.ask(text + ".") == "451 4.3.0 Cannot store mail, try again later\r\n")
            #expect(try await client.ask("NOOP") == "250 2.0.0 Ok\r\n")
            #expect(relay.mail.accepted.isEmpty)
        }
    }

    @Test
    func `what was handed over stays accepted when the client vanishes`() async throws {
        try await Relay.with { relay in
            relay.mail.hold()
            let client = try await relay.clientInData()
            try await client.send("x\r\n.\r\n")
            try await Task.sleep(for: .milliseconds(100))
            try await client.close()
            relay.mail.release()
            #expect(relay.mail.accepted.count == 1)
        }
    }

    @Test
    func `a client that has said all and closed its side still gets its answers`() async throws {
        try await Relay.with { relay in
            relay.mail.hold()
            let client = try await relay.client()
            try await client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n")
            try await client.channel.close(mode: .output)
            try await Task.sleep(for: .milliseconds(100))
            relay.mail.release()
            #expect(try await client.rest().contains("250 2.0.0 Ok: queued as "))
        }
    }
}
