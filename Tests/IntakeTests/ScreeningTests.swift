import Filtering
import Foundation
import Intake
import Logging
import Mail
import NIOCore
import NIOPosix
import Queue
import Synchronization
import Testing

/// What a filter says is done before the client hears the answer to its final dot.
@Suite("Screening", .timeLimit(.minutes(2)))
struct ScreeningTests {
    private static let clean = #"{"action":"no action","score":0.5,"required_score":15}"#
    private static let marked = #"""
        {"action":"add header","score":7.25,"required_score":15,"symbols":{"BAD":{"score":7.25}},
        "milter":{"add_headers":{"X-Spam":"yes"},"remove_headers":{"X-Old":0}}}
        """#
    private static let spam = #"{"action":"reject","score":20,"required_score":15}"#
    private static let soft = #"{"action":"soft reject","score":1}"#
    private static let kept = #"{"action":"quarantine","score":1}"#

    private static func message(_ lines: Int) -> String {
        "Date: today\r\nMessage-ID: <x@y>\r\nX-Old: 1\r\nSubject: x\r\n\r\n"
            + String(repeating: String(repeating: "a", count: 70) + "\r\n", count: lines)
    }

    /// Sends a message of that many lines to a relay whose filter answers so; nil: nobody answers.
    private func send(
        _ lines: Int, _ answer: String?, maxSize: Int = 10 << 20, tooLarge: Filtering.Configuration.TooLarge = .reject,
        nameFinder: ClientNameFinder? = nil, named: String? = nil,
        _ body: (_ reply: String, Relay, FilterStandIn) throws -> Void
    ) async throws {
        let standIn = try await FilterStandIn(answer)
        let filter = Filter(
            Filtering.Configuration(
                nodes: [standIn.place], deadline: .seconds(answer == nil ? 1 : 60), tooLarge: tooLarge,
                maxSize: maxSize),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await Relay.with(filter: filter, nameFinder: nameFinder, namers: ["127.0.0.1/32"]) { relay in
            let client = try await relay.clientInData(named: named)
            let reply = try await client.ask(Self.message(lines) + ".")
            try body(reply, relay, standIn)
            #expect(try await client.ask("NOOP").hasPrefix("250 "), "the session goes on")
        }
        filter.stop()
        try await standIn.stop()
    }

    @Test(arguments: [1, 3_000])
    func `what is clean passes as it came, with its score`(_ lines: Int) async throws {
        try await send(lines, Self.clean) { reply, relay, standIn in
            let accepted = try #require(relay.mail.accepted.first)
            #expect(reply == "250 2.0.0 Ok: queued as \(accepted.message.id)\r\n")
            #expect(accepted.message.verdict == .clean && accepted.message.score == 0.5)
            #expect(relay.content(accepted).hasSuffix(Self.message(lines)))
            let asked = try #require(standIn.asked.first)
            #expect(asked.hasSuffix(Self.message(lines)) && !asked.contains("Received:"))
            for line in [
                "IP: 127.0.0.1", "Helo: client.example", "User: acme", "From: a@b.example", "Rcpt: c@d.example",
                "Queue-Id: \(accepted.message.id)",
            ] {
                #expect(asked.contains("\r\n\(line)\r\n"), "\(line)")
            }
        }
    }

    @Test(arguments: [1, 3_000])
    func `filters are told the client's name where the DNS has one`(_ lines: Int) async throws {
        let found: ClientNameFinder = { $1("\($0)".hasPrefix("127.") ? "client.isp.example" : nil) }
        try await send(lines, Self.clean, nameFinder: found) { _, _, standIn in
            #expect(standIn.asked.count == 1 && standIn.asked[0].contains("\r\nHostname: client.isp.example\r\n"))
        }
        let none: ClientNameFinder = { $1(nil) }
        for finder in [none, nil] {
            try await send(lines, Self.clean, nameFinder: finder) { reply, _, standIn in
                #expect(standIn.asked.count == 1 && !standIn.asked[0].contains("Hostname") && reply.hasPrefix("250 "))
            }
        }
    }

    @Test func `filters are asked about the client that a load balancer names`() async throws {
        let found: ClientNameFinder = { $1("\($0)" == "127.0.0.5" ? "found.example" : nil) }
        let told = [
            ("ADDR=127.0.0.5 HELO=x.example", "found.example"),
            ("ADDR=127.0.0.5 HELO=x.example NAME=told.example", "told.example"),
        ]
        for (words, name) in told {
            try await send(1, Self.clean, nameFinder: found, named: words) { reply, _, standIn in
                #expect(reply.hasPrefix("250 "))
                let asked = try #require(standIn.asked.first)
                for line in ["IP: 127.0.0.5", "Helo: x.example", "Hostname: \(name)"] {
                    #expect(asked.contains("\r\n\(line)\r\n"), "\(line)")
                }
            }
        }
    }

    @Test func `a name that is not to be had is asked for once, and holds nothing up for long`() async throws {
        let asked = Mutex(0)
        let silent: ClientNameFinder = { _, _ in asked.withLock { $0 += 1 } }
        try await send(1, Self.clean, nameFinder: silent) { reply, _, standIn in
            #expect(reply.hasPrefix("250 ") && !standIn.asked.joined().contains("Hostname"))
            #expect(asked.withLock { $0 } == 1)
        }
    }

    @Test func `without a filter nobody's name is asked for`() async throws {
        let asked = Mutex(0)
        let finder: ClientNameFinder = { _, then in
            asked.withLock { $0 += 1 }
            then(nil)
        }
        try await Relay.with(nameFinder: finder) { relay in
            let client = try await relay.clientInData()
            #expect(try await client.ask(Self.message(1) + ".").hasPrefix("250 "))
        }
        #expect(asked.withLock { $0 } == 0)
    }

    @Test(arguments: [1, 3_000])
    func `what is marked is changed before it is kept`(_ lines: Int) async throws {
        try await send(lines, Self.marked) { reply, relay, _ in
            #expect(reply.hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            let content = relay.content(accepted)
            #expect(accepted.message.verdict == .suspect && accepted.message.size == content.utf8.count)
            #expect(content.contains("+0000\r\nX-Spam: yes\r\nDate: today\r\nMessage-ID: <x@y>\r\nSubject: x\r\n\r\na"))
            #expect(content.hasSuffix(Self.message(lines).suffix(lines * 71)))
            let screening = try #require(accepted.trace.screening)
            #expect(screening.symbols == ["BAD(7.25)"] && screening.changes == ["X-Old removed", "X-Spam added"])
        }
    }

    @Test(arguments: [(1, Self.spam, "554 5.7.1 "), (3_000, Self.spam, "554 5.7.1 "), (3_000, Self.soft, "451 4.7.1 ")])
    func `what is refused leaves nothing behind`(_ lines: Int, _ answer: String, _ expected: String) async throws {
        try await send(lines, answer) { reply, relay, _ in
            #expect(reply.hasPrefix(expected) && reply.contains(", id "), "\(reply)")
            #expect(relay.mail.accepted.isEmpty && relay.files.abandoned == (lines > 1 ? 1 : 0))
        }
    }

    @Test(arguments: [1, 3_000])
    func `what nobody checked is not taken`(_ lines: Int) async throws {
        try await send(lines, nil) { reply, relay, _ in
            #expect(reply.hasPrefix("451 4.7.1 Cannot check"), "\(reply)")
            #expect(relay.mail.accepted.isEmpty)
        }
    }

    @Test func `what is to be looked at is held from its commit on`() async throws {
        try await send(1, Self.kept) { reply, relay, _ in
            #expect(reply.hasPrefix("250 "))
            let accepted = try #require(relay.mail.accepted.first)
            #expect(accepted.hold?.by == "filter")
        }
    }

    @Test(arguments: [(Filtering.Configuration.TooLarge.reject, "552 5.3.4 "), (.pass, "250 ")])
    func `what is too large is answered for good`(
        _ tooLarge: Filtering.Configuration.TooLarge, _ expected: String
    ) async throws {
        try await send(3_000, Self.clean, maxSize: 100_000, tooLarge: tooLarge) { reply, relay, standIn in
            #expect(reply.hasPrefix(expected) && standIn.asked.isEmpty)
            #expect(relay.mail.accepted.first?.message.verdict == (tooLarge == .pass ? .unscanned : nil))
        }
    }
}

/// Answers every check with the same JSON, once it has read all of the question; nil: reads and says nothing.
final class FilterStandIn: Sendable {
    private let channel: any Channel
    private let questions: Questions
    let place: NodePlace

    init(_ answer: String?) async throws {
        let questions = Questions()
        self.questions = questions
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answerer(answer, questions))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        place = .address(IPAddress(v4: 0x7F00_0001), port: channel.localAddress?.port ?? 0)
    }

    /// Whole requests.
    var asked: [String] { questions.all.withLock { $0 } }

    func stop() async throws { try await channel.close() }

    final class Questions: Sendable {
        let all = Mutex<[String]>([])
    }

    private final class Answerer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let answer: String?
        private let questions: Questions
        private var read = ByteBuffer()

        init(_ answer: String?, _ questions: Questions) {
            self.answer = answer
            self.questions = questions
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            read.writeBuffer(&part)
            let text = String(buffer: read)
            guard let answer, let end = text.range(of: "\r\n\r\n") else { return }
            let length = text[..<end.lowerBound].split(separator: "\r\n").lazy
                .filter { $0.lowercased().hasPrefix("content-length:") }
                .compactMap { Int($0.drop { $0 != " " }.dropFirst()) }.first
            guard text[end.upperBound...].utf8.count >= length ?? 0 else { return }
            read = ByteBuffer()
            questions.all.withLock { $0.append(text) }
            let channel = context.channel
            let said = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(answer.utf8.count)\r\n\r\n\(answer)"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: said)))
                .whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
