import Logging
import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Filtering

/// Checks over real connections: nodes are filter nodes of this process, or servers that misbehave.
@Suite(.serialized) struct `Checks` {
    private static let group = MultiThreadedEventLoopGroup.singleton
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let loopback = IPAddress(v4: 0x7F00_0001)

    /// Says the same whatever it is asked; nil: nothing at all.
    private final class Parrot: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let answer: String?
        let tells: Bool

        init(_ answer: String?, tells: Bool) {
            self.answer = answer
            self.tells = tells
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard let answer else { return }
            // As a clamd does that tells of its limits.
            let isProbe = String(buffer: unwrapInboundIn(data)).contains("limits@figaro.invalid")
            let said = isProbe && tells ? "stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0" : answer
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: said)))
                .whenComplete { _ in channel.close(promise: nil) }
        }
    }

    private static func parrot(
        _ answer: String?, tells: Bool = true
    ) async throws -> (channel: any Channel, place: NodePlace) {
        let channel = try await ServerBootstrap(group: group).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(Parrot(answer, tells: tells))
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        return (channel, .address(loopback, port: channel.localAddress?.port ?? 0))
    }

    private static func http(_ json: String) -> String {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)"
    }

    private static let clean = http(#"{"action":"no action","score":0.5,"required_score":15}"#)

    private static func check(
        nodes: [NodePlace] = [], clamd: [NodePlace] = [], deadline: TimeAmount = .seconds(20), size: Int = 1_000
    ) async throws -> CheckResult {
        let filter = Filter(
            Configuration(nodes: nodes, clamd: clamd, deadline: deadline, maxSize: 1 << 20), logger: logger)
        defer { filter.stop() }
        let question = Question(content: ByteBuffer(repeating: 65, count: size))
        let loop = group.next()
        return try await loop.flatSubmit { filter.check(question, on: loop) }.get()
    }

    @Test func `a node's answer is the verdict`() async throws {
        let node = try await Self.parrot(Self.clean)
        let scanner = try await Self.parrot("stream: OK\0")
        let result = try await Self.check(nodes: [node.place], clamd: [scanner.place])
        #expect(result == .verdict(Verdict(action: .noAction, score: 0.5, required: 15)))
        try await node.channel.close()
        try await scanner.channel.close()
    }

    @Test(
        arguments: [
            nil, "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"action\":\"no action\",\"score\":0}",
            "HTTP/1.1 500 No\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "",
        ] as [String?])
    func `no answer is no pass, and another node is asked`(_ answer: String?) async throws {
        let bad = try await Self.parrot(answer)
        let alone = try await Self.check(nodes: [bad.place], deadline: .milliseconds(400))
        guard case .unavailable = alone else { return #expect(Bool(false), "\(alone)") }
        let good = try await Self.parrot(Self.clean)
        for _ in 0..<4 {
            let result = try await Self.check(nodes: [bad.place, good.place], deadline: .seconds(6))
            #expect(result == .verdict(Verdict(action: .noAction, score: 0.5, required: 15)))
        }
        try await bad.channel.close()
        try await good.channel.close()
    }

    @Test func `a virus is found, and what clamd does not look at is too large`() async throws {
        for (answer, expected) in [
            ("stream: V FOUND\0", "virus"), ("INSTREAM size limit exceeded. ERROR\0", "large"),
            ("stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\0", "large"), ("stream: OK", "unavailable"),
            ("stream: lstat() failed ERROR\0", "unavailable"),
        ] {
            let scanner = try await Self.parrot(answer)
            switch try await Self.check(clamd: [scanner.place], deadline: .seconds(5), size: 900_000) {
            case .verdict(let verdict): #expect(expected == "virus" && verdict.virus == "V")
            case .tooLarge: #expect(expected == "large")
            case .unavailable: #expect(expected == "unavailable")
            }
            try await scanner.channel.close()
        }
    }

    @Test func `an OK of a clamd that keeps quiet about its limits does not count, what it finds does`() async throws {
        for (answer, expected) in [("stream: OK\0", "unavailable"), ("stream: V FOUND\0", "virus")] {
            let scanner = try await Self.parrot(answer, tells: false)
            switch try await Self.check(clamd: [scanner.place], deadline: .seconds(20)) {
            case .unavailable(let reason): #expect(expected == "unavailable" && reason.contains("AlertExceedsMax yes"))
            case let other: #expect(expected == "virus", "\(other)")
            }
            try await scanner.channel.close()
        }
    }

    @Test func `too large is said without asking`() async throws {
        #expect(try await Self.check(nodes: [.address(Self.loopback, port: 1)], size: 2 << 20) == .tooLarge)
    }

    @Test func `a filter node hands on what it is told, over a connection that is used again`() async throws {
        let scanner = try await Self.parrot("stream: V FOUND\0")
        let rspamd = try await Self.parrot(Self.clean)
        let behind = Filter(
            Configuration(
                nodes: [rspamd.place], clamd: [scanner.place],
                listeners: [FilterListener(address: Self.loopback, port: 0)]), logger: Self.logger)
        let server = FilterServer(filter: behind, group: Self.group, logger: Self.logger)
        let port = try #require(try await server.bind().first)
        let front = Filter(
            Configuration(nodes: [.address(Self.loopback, port: port)], maxSize: 1 << 20), logger: Self.logger)
        let loop = Self.group.next()
        for _ in 0..<3 {
            let question = Question(content: ByteBuffer(string: "Subject: x\r\n\r\n"))
            let result = try await loop.flatSubmit { front.check(question, on: loop) }.get()
            guard case .verdict(let verdict) = result else { return #expect(Bool(false), "\(result)") }
            #expect(verdict.virus == "V" && verdict.action == .reject && verdict.score == 0.5)
        }
        #expect(behind.figures.viruses == 3 && behind.figures.checked == 3)
        front.stop()
        await server.stop()
        try await scanner.channel.close()
        try await rspamd.channel.close()
    }
}
