import Intake
import Mail
import NIOCore
import Queue
import SMTP
import Testing

@Suite("Limits", .timeLimit(.minutes(2)))
struct LimitTests {
    @Test
    func `strangers are refused relay at RCPT, not before`() async throws {
        try await Relay.with(customers: ["acme": ["192.0.2.0/24"]]) { relay in
            let client = try await relay.client()
            #expect(try await client.ask("MAIL FROM:<a@b>") == "250 2.1.0 Ok\r\n")
            #expect(try await client.ask("RCPT TO:<c@d>") == "550 5.7.1 Relay access denied\r\n")
            #expect(try await client.ask("RCPT TO:<postmaster>") == "550 5.1.1 No such mailbox here\r\n")
            #expect(try await client.ask("DATA") == "554 5.5.1 No valid recipients\r\n")
        }
    }

    @Test
    func `the customer with the closest network is the one`() async throws {
        let customers = ["acme": ["127.0.0.0/8"], "beta": ["127.0.0.2/31", "192.0.2.0/24"], "gamma": ["127.0.0.3"]]
        try await Relay.with(customers: customers) { relay in
            for (source, customer) in [("127.0.0.1", "acme"), ("127.0.0.2", "beta"), ("127.0.0.3", "gamma")] {
                let client = try await Client.connect(relay.port, from: source)
                _ = try await client.ask("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA", replies: 5)
                #expect(try await client.ask("x\r\n.").hasPrefix("250 "))
                #expect(relay.mail.accepted.last?.message.customer == customer)
            }
        }
    }

    @Test
    func `mail for the bare postmaster goes to who is configured`() async throws {
        let postmaster = Address(localPart: "ops", domain: "relay.example")
        try await Relay.with(customers: [:], postmaster: postmaster) { relay in
            let client = try await relay.client()
            _ = try await client.ask("MAIL FROM:<a@b>\r\nRCPT TO:<PostMaster>\r\nDATA", replies: 3)
            #expect(try await client.ask("x\r\n.").hasPrefix("250 "))
            #expect(relay.mail.accepted.first?.recipients == [postmaster])
        }
    }

    @Test
    func `the queue's state is told at MAIL`() async throws {
        try await Relay.with { relay in
            let client = try await relay.client()
            let expected: [(Admission, String)] = [
                (.busy, "451 4.3.2 Busy, try again later\r\n"),
                (.diskShort, "452 4.3.1 Short of disk space, try again later\r\n"),
                (.broken, "451 4.3.0 Cannot store mail, try again later\r\n"), (.open, "250 2.1.0 Ok\r\n"),
            ]
            for (admission, reply) in expected {
                relay.mail.set(admission)
                #expect(try await client.ask("MAIL FROM:<a@b>") == reply)
            }
            #expect(try await client.ask("RCPT TO:<c@d>") == "250 2.1.5 Ok\r\n")
            relay.mail.set(.busy)
            #expect(try await client.ask("DATA") == "451 4.3.2 Busy, try again later\r\n")
            relay.mail.set(.closing)
            #expect(try await client.ask("MAIL FROM:<a@b>") == "421 4.3.2 Shutting down\r\n")
            #expect(try await client.rest() == "")
        }
    }

    @Test
    func `connections are bounded per client and in all`() async throws {
        try await Relay.with(limits: Limits(connections: 3, connectionsPerClient: 2)) { relay in
            func connect(_ source: String) async throws -> (Client, String) {
                let client = try await Client.connect(relay.port, from: source)
                return (client, try await client.replies())
            }
            let (first, greeting) = try await connect("127.0.0.1")
            #expect(greeting == "220 relay.example ESMTP Figaro\r\n")
            _ = try await connect("127.0.0.1")
            let (refused, reply) = try await connect("127.0.0.1")
            #expect(reply == "421 4.7.0 Too many connections from your address\r\n")
            #expect(try await refused.rest() == "")
            #expect(try await connect("127.0.0.2").1.hasPrefix("220 "))
            #expect(try await connect("127.0.0.3").1 == "421 4.3.2 Too many connections\r\n")
            #expect(try await first.ask("QUIT").hasPrefix("221 "))
            var again = ""
            for _ in 0..<100 where !again.hasPrefix("220 ") { again = try await connect("127.0.0.1").1 }
            #expect(again.hasPrefix("220 "))
        }
    }

    @Test
    func `recipients, hops, header and size have their bounds`() async throws {
        let limits = Limits(messageSize: 100_000, recipients: 100, headerSize: 2_000, hops: 3)
        try await Relay.with(limits: limits) { relay in
            let client = try await relay.client()
            #expect(try await client.ask("MAIL FROM:<a@b> SIZE=100001") == "552 5.3.4 Message too large\r\n")
            _ = try await client.ask("MAIL FROM:<a@b>")
            let recipients = (0..<101).map { "RCPT TO:<user\($0)@example.com>" }.joined(separator: "\r\n")
            let replies = try await client.ask(recipients, replies: 101)
            #expect(replies.hasSuffix("Ok\r\n452 4.5.3 Too many recipients\r\n"))
            #expect(replies.split(separator: "\r\n").filter { $0 == "250 2.1.5 Ok" }.count == 100)
            let received = "Received: x\r\n"
            let cases = [
                (String(repeating: received, count: 4) + "\r\nx\r\n", "554 5.4.6 Too many hops, this is a loop\r\n"),
                (
                    "Subject: " + String(repeating: "x\r\n x", count: 500) + "\r\n",
                    "552 5.3.4 Message header too large\r\n"
                ),
                ("\r\n" + String(repeating: "0123456\r\n", count: 12_000), "552 5.3.4 Message too large\r\n"),
                (String(repeating: received, count: 3) + "\r\nx\r\n", "250 2.0.0 Ok: queued as "),
            ]
            #expect(try await client.ask("RSET") == "250 2.0.0 Ok\r\n")
            for (text, reply) in cases {
                _ = try await client.ask("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA", replies: 3)
                #expect(try await client.ask(text + ".").hasPrefix(reply))
            }
            #expect(relay.mail.accepted.count == 1)
            #expect(relay.mail.accepted.first?.recipients.count == 1)
        }
    }

    @Test
    func `errors end the session`() async throws {
        try await Relay.with(limits: Limits(errors: 3)) { relay in
            let client = try await relay.client()
            let replies = try await client.ask("A\r\nB\r\nC\r\nD\r\nE", replies: 4)
            #expect(replies.hasSuffix("500 5.5.2 Command not recognized\r\n421 4.7.0 Too many errors\r\n"))
            #expect(try await client.rest() == "")
        }
    }

    @Test
    func `a silent client is told 421 and left, whatever it drips`() async throws {
        try await Relay.with(limits: Limits(commandTimeout: .seconds(1))) { relay in
            let silent = try await relay.client()
            #expect(try await silent.rest() == "421 4.4.2 Timeout\r\n")
            let dripping = try await relay.client()
            let started = ContinuousClock.now
            for _ in 0..<100 where dripping.channel.isActive {
                try? await dripping.send("N")
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await dripping.rest() == "421 4.4.2 Timeout\r\n")
            #expect(ContinuousClock.now - started < .seconds(5))
        }
    }

    @Test
    func `content that comes too slowly is given up`() async throws {
        let limits = Limits(dataTimeout: .seconds(1), minimumDataRate: 1_000)
        try await Relay.with(limits: limits) { relay in
            let stalled = try await relay.clientInData()
            #expect(try await stalled.rest() == "421 4.4.2 Data came too slowly\r\n")
            // Some 100 octets a second, without a pause.
            let slow = try await relay.clientInData()
            for _ in 0..<100 where slow.channel.isActive {
                try? await slow.send("x\r\ny\r\n")
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await slow.rest() == "421 4.4.2 Data came too slowly\r\n")
            #expect(relay.mail.accepted.isEmpty)
        }
    }

    @Test
    func `a long commit is no timeout of the client`() async throws {
        let limits = Limits(commandTimeout: .seconds(1), dataTimeout: .seconds(1))
        try await Relay.with(limits: limits) { relay in
            relay.mail.hold()
            let client = try await relay.clientInData()
            try await client.send("x\r\n.\r\n")
            try await Task.sleep(for: .milliseconds(2_500))
            relay.mail.release()
            #expect(try await client.replies().hasPrefix("250 "))
        }
    }

    @Test(arguments: ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n"])
    func `a smuggled end of content ends the session with 554`(_ end: String) async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            try await client.send("good" + end + "MAIL FROM:<evil@b>\r\nRCPT TO:<x@y>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n")
            #expect(try await client.rest().hasPrefix("554 5.5.2 Bare "))
            #expect(relay.mail.accepted.isEmpty)
        }
    }
}
