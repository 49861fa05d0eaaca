import Mail
import Testing

@testable import Intake

/// A reload while clients are connected.
struct ReplacingTests {
    @Test
    func `new sessions go by the new settings, and those that are open by theirs`() async throws {
        try await Relay.with(limits: Limits(messageSize: 5 << 20)) { relay in
            let open = try await relay.client()
            var configuration = relay.configuration
            configuration.hostname = "other.example"
            configuration.limits.messageSize = 2 << 20
            configuration.customers = [
                Customer(name: "far", networks: [IPNetwork("192.0.2.0/24")].compactMap(\.self))
            ]
            try relay.server.replace(configuration)
            #expect(try await open.ask("MAIL FROM:<a@customer.example> SIZE=4000000").hasPrefix("250"))
            #expect(try await open.ask("RCPT TO:<b@sink.example>").hasPrefix("250"))

            let new = try await Client.connect(relay.port)
            #expect(try await new.replies().hasPrefix("220 other.example"))
            #expect(try await new.ask("EHLO client.example").contains("SIZE \(2 << 20)"))
            #expect(try await new.ask("MAIL FROM:<a@customer.example> SIZE=4000000").hasPrefix("552"))
            _ = try await new.ask("MAIL FROM:<a@customer.example>")
            #expect(try await new.ask("RCPT TO:<b@sink.example>").hasPrefix("550"), "a stranger now")
        }
    }

    @Test
    func `the number of sessions is bounded by the new limit`() async throws {
        try await Relay.with(limits: Limits(connections: 10, connectionsPerClient: 10)) { relay in
            let first = try await relay.client()
            var configuration = relay.configuration
            configuration.limits.connections = 1
            try relay.server.replace(configuration)
            let second = try await Client.connect(relay.port)
            #expect(try await second.replies().hasPrefix("421"))
            #expect(try await first.ask("NOOP").hasPrefix("250"))
        }
    }
}
