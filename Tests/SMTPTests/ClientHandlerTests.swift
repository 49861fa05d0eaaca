import Mail
import NIOCore
import NIOEmbedded
import Testing

@testable import SMTP

/// A handler on a channel without a network: what it writes can be read, and what it tells its delegate is kept.
private final class HandlerBench: ClientDelegate {
    enum Report: Equatable {
        case opened(tls: String?)
        case failed(PhaseAnswer)
        case finished([PhaseAnswer], reusable: Bool)
        case closed
    }

    /// Passes everything on and counts flushes.
    final class Counter: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var flushes = 0

        func flush(context: ChannelHandlerContext) {
            flushes += 1
            context.flush()
        }
    }

    let channel = EmbeddedChannel()
    let counter = Counter()
    private(set) var handler: ClientHandler?
    var reports: [Report] = []
    /// Sent as soon as the delegate hears of an open or a free session.
    var queue: [ClientEnvelope] = []

    init(security: ClientTLS = .never) throws {
        let handler = ClientHandler(
            hello: "out-1.example", host: "mx.example", security: security, deadlines: ClientDeadlines(), delegate: self
        )
        self.handler = handler
        try channel.pipeline.syncOperations.addHandlers(counter, handler)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 25), promise: nil)
    }

    func clientOpened(tls: String?, features: HostFeatures) {
        reports.append(.opened(tls: tls))
        sendNext()
    }

    func clientFailed(_ answer: PhaseAnswer) { reports.append(.failed(answer)) }

    func clientFinished(_ answers: [PhaseAnswer], reusable: Bool) {
        reports.append(.finished(answers, reusable: reusable))
        if reusable { sendNext() }
    }

    func clientClosed() { reports.append(.closed) }

    private func sendNext() {
        guard !queue.isEmpty else { return }
        handler?.send(queue.removeFirst())
    }

    func says(_ text: String) throws {
        try channel.writeInbound(ByteBuffer(string: text))
    }

    /// What was written since the last call, each write by itself.
    func writes() throws -> [String] {
        var writes: [String] = []
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
            writes.append(String(buffer: bytes))
        }
        return writes
    }

    static func envelope(_ content: String, to count: Int = 1) -> ClientEnvelope {
        let recipients = (0..<count).map { Address(localPart: "bob\($0)", domain: "b.example") }
        return ClientEnvelope(
            sender: .address(Address(localPart: "ann", domain: "a.example")), recipients: recipients,
            size: content.utf8.count, eightBit: false, utf8: false, content: .inline(ByteBuffer(string: content)))
    }
}

@Suite struct ClientHandlerWrites {
    @Test func `an envelope is one write, and so is content with its dot`() throws {
        let bench = try HandlerBench()
        bench.queue = [HandlerBench.envelope("x\r\n", to: 2)]
        try bench.says("220 mx\r\n")
        #expect(try bench.writes() == ["EHLO out-1.example\r\n"])
        try bench.says("250-mx\r\n250 PIPELINING\r\n")
        let envelope = "MAIL FROM:<ann@a.example>\r\nRCPT TO:<bob0@b.example>\r\nRCPT TO:<bob1@b.example>\r\nDATA\r\n"
        #expect(try bench.writes() == [envelope])
        #expect(bench.counter.flushes == 2)
        try bench.says("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(try bench.writes() == ["x\r\n.\r\n"])
        #expect(bench.counter.flushes == 3)
        try bench.says("250 2.0.0 kept\r\n")
        let kept = PhaseAnswer(phase: .dot, answer: .reply(Reply(250, EnhancedStatus(2, 0, 0), "kept")))
        #expect(bench.reports == [.opened(tls: nil), .finished([kept, kept], reusable: true)])
    }

    @Test func `the next message goes out with the news that the last one is done`() throws {
        let bench = try HandlerBench()
        bench.queue = (0..<3).map { HandlerBench.envelope("\($0)\r\n") }
        try bench.says("220 mx\r\n")
        try bench.says("250-mx\r\n250 PIPELINING\r\n")
        for _ in 0..<3 {
            try bench.says("250 ok\r\n250 ok\r\n354 go\r\n")
            try bench.says("250 kept\r\n")
        }
        #expect(try bench.writes().filter { $0.hasPrefix("MAIL") }.count == 3)
        #expect(bench.reports.count == 4)
    }

    @Test func `the delegate hears nothing before send has returned`() throws {
        let bench = try HandlerBench()
        try bench.says("220 mx\r\n")
        try bench.says("250-mx\r\n250 SIZE 2\r\n")
        bench.handler?.send(HandlerBench.envelope("xyz\r\n"))
        #expect(bench.reports == [.opened(tls: nil)])
        bench.channel.embeddedEventLoop.run()
        #expect(bench.reports.count == 2)
    }

    @Test func `text in the clear after the answer to STARTTLS ends the session before any handshake`() throws {
        let bench = try HandlerBench(security: try .unverified())
        try bench.says("220 mx\r\n")
        try bench.says("250-mx\r\n250 STARTTLS\r\n")
        try bench.says("220 go\r\n250-mx\r\n250 SIZE 1\r\n")
        let answer = Answer.trouble(.nonsense, "text in the clear after the answer to STARTTLS")
        #expect(bench.reports == [.failed(PhaseAnswer(phase: .starttls, answer: answer))])
        #expect(!bench.channel.isActive)
    }

    @Test func `a started line that nobody asked for makes the session unusable`() throws {
        let bench = try HandlerBench()
        try bench.says("220 mx\r\n")
        try bench.says("250-mx\r\n250 PIPELINING\r\n")
        try bench.says("250 2.0.0 ke")
        bench.handler?.send(HandlerBench.envelope("x\r\n"))
        bench.channel.embeddedEventLoop.run()
        let answer = Answer.trouble(.nonsense, "a reply where none was asked for")
        #expect(
            bench.reports == [
                .opened(tls: nil), .finished([PhaseAnswer(phase: .mail, answer: answer)], reusable: false),
            ])
        #expect(try bench.writes() == ["EHLO out-1.example\r\n"])
    }

    @Test func `a deadline is not moved by octets that are no reply`() throws {
        let bench = try HandlerBench()
        let start = bench.channel.embeddedEventLoop.now
        bench.handler?.checkDeadline(start + .minutes(4))
        #expect(bench.reports == [])
        try bench.says("220-")
        try bench.says("x\r\n")
        bench.handler?.checkDeadline(start + .minutes(5) + .seconds(1))
        let late = Answer.trouble(.timeout, "no answer in time")
        #expect(bench.reports == [.failed(PhaseAnswer(phase: .banner, answer: late))])
        #expect(!bench.channel.isActive)
    }
}
