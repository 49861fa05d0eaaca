import Intake
import Logging
import Mail
import NIOCore
import NIOPosix
import Queue
import SMTP
import Testing

@Suite("Listening and shutting down", .timeLimit(.minutes(2)))
struct ServerTests {
    private func server(_ listeners: [Intake.Listener]) throws -> IntakeServer {
        try IntakeServer(
            configuration: Configuration(
                hostname: "relay.example", listeners: listeners,
                customers: []), queue: HeldMail(), contentFiles: HeldFiles(), ids: MessageID.Generator(),
            time: FixedTime(), group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test
    func `a port that is taken is named, and nothing stays bound`() async throws {
        try await Relay.with { relay in
            let loopback = IPAddress(v4: 0x7F00_0001)
            let free = try await Relay()
            await free.server.shutdown(grace: .zero)
            let both = try server([
                Intake.Listener(address: loopback, port: free.port),
                Intake.Listener(address: loopback, port: relay.port),
            ])
            let expected = IntakeError.cannotBind(
                address: "127.0.0.1", port: relay.port, reason: "Address already in use")
            await #expect(throws: expected) { try await both.bind() }
            let again = try server([Intake.Listener(address: loopback, port: free.port)])
            #expect(try await again.bind() == [free.port])
            await again.shutdown(grace: .zero)
        }
    }

    @Test
    func `nobody is served before the start`() async throws {
        let server = try server([Intake.Listener(address: IPAddress(v4: 0x7F00_0001), port: 0)])
        let port = try #require(try await server.bind(accepting: false).first)
        let client = try await Client.connect(port)
        try await Task.sleep(for: .milliseconds(200))
        server.start()
        #expect(try await client.replies() == "220 relay.example ESMTP Figaro\r\n")
        await server.shutdown(grace: .zero)
    }

    @Test
    func `going down tells the idle, lets messages be finished, and waits for commits`() async throws {
        let relay = try await Relay()
        let idle = try await relay.client()
        let inData = try await relay.clientInData()
        let committing = try await relay.clientInData()
        relay.mail.hold()
        try await committing.send("x\r\n.\r\n")
        try await Task.sleep(for: .milliseconds(100))
        async let down: Void = relay.server.shutdown(grace: .seconds(10))
        #expect(try await idle.rest() == "421 4.3.2 Shutting down\r\n")
        await #expect(throws: (any Error).self) { _ = try await Client.connect(relay.port) }
        relay.mail.release()
        let answer = try await committing.rest()
        #expect(answer.hasPrefix("250 2.0.0 Ok: queued as ") && answer.hasSuffix("\r\n421 4.3.2 Shutting down\r\n"))
        try await inData.send("y\r\n.\r\n")
        let last = try await inData.rest()
        #expect(last.hasPrefix("250 2.0.0 Ok: queued as ") && last.hasSuffix("\r\n421 4.3.2 Shutting down\r\n"))
        await down
        #expect(relay.mail.accepted.count == 2)
    }

    @Test
    func `who is not done when the grace is over is cut off`() async throws {
        let relay = try await Relay()
        let inData = try await relay.clientInData()
        let started = ContinuousClock.now
        await relay.server.shutdown(grace: .milliseconds(300))
        #expect(ContinuousClock.now - started < .seconds(5))
        #expect(try await inData.rest() == "421 4.3.2 Shutting down\r\n")
    }

    @Test
    func `four hundred sessions at once are served`() async throws {
        let limits = Limits(connectionsPerClient: 400)
        try await Relay.with(limits: limits) { relay in
            var clients: [Client] = []
            // Test and server share one process: two sockets a session.
            for _ in 0..<400 { clients.append(try await Client.connect(relay.port)) }
            for client in clients { #expect(try await client.replies().hasPrefix("220 ")) }
            for client in clients { try await client.send("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n") }
            for client in clients { #expect(try await client.replies(4).hasSuffix("<CR><LF>.<CR><LF>\r\n")) }
            for client in clients { try await client.send("x\r\n.\r\nQUIT\r\n") }
            for client in clients { #expect(try await client.rest().hasSuffix("221 2.0.0 Bye\r\n")) }
            #expect(relay.mail.accepted.count == 400)
            #expect(Set(relay.mail.accepted.map(\.message.id)).count == 400)
        }
    }
}
