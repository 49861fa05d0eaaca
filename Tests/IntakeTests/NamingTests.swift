import Mail
import NIOCore
import Queue
import SMTP
import Testing

@testable import Intake

/// XCLIENT over a real socket: whoever a load balancer names is who the session is.
@Suite("Clients that a load balancer names", .timeLimit(.minutes(2)))
struct NamingTests {
    private let customers = ["acme": ["198.51.100.0/24"], "balancer": ["127.0.9.0/24"]]
    private let greeting = "220 relay.example ESMTP Figaro\r\n"
    private let transaction = "MAIL FROM:<a@acme.example>\r\nRCPT TO:<c@d.example>"
    private let taken = "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
    private let denied = "250 2.1.0 Ok\r\n550 5.7.1 Relay access denied\r\n"

    private func with(
        limits: Limits = Limits(), _ body: (Relay, (String) async throws -> Client) async throws -> Void
    ) async throws {
        try await Relay.with(limits: limits, customers: customers, namers: ["127.0.9.0/24"]) { relay in
            try await body(relay) { source in
                let client = try await Client.connect(relay.port, from: source)
                _ = try await client.replies()
                return client
            }
        }
    }

    @Test
    func `the session is the named client's`() async throws {
        try await with { relay, connect in
            let client = try await connect("127.0.9.1")
            #expect(try await client.ask("EHLO b").contains("250-XCLIENT NAME ADDR"))
            let words = "XCLIENT ADDR=198.51.100.7 NAME=mail.acme.example PORT=4000 HELO=acme.example PROTO=ESMTP"
            #expect(try await client.ask(words) == greeting)
            #expect(try await client.ask(transaction, replies: 2) == taken)
            _ = try await client.ask("DATA")
            #expect(try await client.ask("Subject: x\r\n\r\nx\r\n.").hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            #expect(accepted.message.customer == "acme")
            #expect(accepted.trace.client == IPAddress("198.51.100.7"))
            let received = relay.content(accepted).prefix { $0 != ";" }
            #expect(received.hasPrefix("Received: from acme.example (mail.acme.example [198.51.100.7])\r\n"))
            #expect(received.contains(" with ESMTP id "))
        }
    }

    @Test
    func `a stranger behind a load balancer is a stranger, whatever the load balancer may`() async throws {
        try await with { _, connect in
            let client = try await connect("127.0.9.1")
            for place in ["203.0.113.7", "IPV6:2001:db8::7", "[UNAVAILABLE]"] {
                let client = try await connect("127.0.9.1")
                #expect(try await client.ask("XCLIENT ADDR=\(place) HELO=x") == greeting)
                #expect(try await client.ask(transaction, replies: 2) == denied, "\(place)")
                #expect(try await client.ask("RSET") == "250 2.0.0 Ok\r\n")
                #expect(try await client.ask("XCLIENT ADDR=198.51.100.7").hasPrefix("550 5.7.1 Insufficient"))
            }
            #expect(try await client.ask("XCLIENT LOGIN=nobody") == "550 5.7.1 The login named is nobody's\r\n")
            #expect(try await client.ask("EHLO b\r\n" + transaction, replies: 3).hasSuffix(taken), "it is who it was")
        }
    }

    @Test
    func `whoever is not listed names nobody`() async throws {
        try await with { _, connect in
            let client = try await connect("127.0.8.1")
            #expect(try await client.ask("EHLO b").contains("XCLIENT") == false)
            #expect(try await client.ask("XCLIENT ADDR=198.51.100.7").hasPrefix("550 5.7.1 Insufficient"))
            #expect(try await client.ask(transaction, replies: 2) == denied)
        }
    }

    @Test
    func `who logged in at the load balancer is the login's customer`() async throws {
        try await with { relay, connect in
            var shop = Customer(name: "shop", networks: [])
            shop.credentials = [Credential(user: "shop+1", password: .decoy, made: Timestamp(milliseconds: 0))]
            relay.server.replaceKept([shop])
            let client = try await connect("127.0.9.1")
            #expect(try await client.ask("XCLIENT ADDR=203.0.113.7 LOGIN=shop+2B1 HELO=x PROTO=ESMTP") == greeting)
            #expect(try await client.ask(transaction, replies: 2) == taken)
            _ = try await client.ask("DATA")
            #expect(try await client.ask("Subject: x\r\n\r\nx\r\n.").hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            #expect(accepted.message.customer == "shop" && accepted.trace.known == "login shop+1")
            #expect(relay.content(accepted).contains(" with ESMTPA id "))
            relay.server.replaceKept([])
            #expect(try await client.ask("MAIL FROM:<a@b>").hasPrefix("421 "))
        }
    }

    @Test
    func `connections count for the client that is named`() async throws {
        try await with(limits: Limits(connectionsPerClient: 2)) { _, connect in
            for number in [7, 8] {
                for _ in 0..<2 {
                    let client = try await connect("127.0.9.1")
                    #expect(try await client.ask("XCLIENT ADDR=198.51.100.\(number)") == greeting)
                }
            }
            let late = try await connect("127.0.9.1")
            let refusal = "421 4.7.0 Too many connections from your address\r\n"
            #expect(try await late.ask("XCLIENT ADDR=198.51.100.7") == refusal)
            #expect(try await late.rest() == "")
            let other = try await connect("127.0.9.1")
            #expect(try await other.ask("XCLIENT ADDR=198.51.100.9") == greeting)
        }
    }
}
