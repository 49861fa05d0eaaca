import Glibc
import NIOCore
import NIOSSL

/// One connection to a ``ScriptedPeer``.
final class PeerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let script: [ScriptedPeer.Step]
    private let visit: Int
    private let visited: Visits
    private let tls: NIOSSLContext?
    private var next = 0
    private var input = ByteBuffer()
    /// How far content has been looked through for its end.
    private var searched = 0
    private var pausing = false
    private var serving: ScriptedPeer.Manners?
    private var takesContent = false

    init(script: [ScriptedPeer.Step], visit: Int, visited: Visits, tls: NIOSSLContext?) {
        self.script = script
        self.visit = visit
        self.visited = visited
        self.tls = tls
    }

    func channelActive(context: ChannelHandlerContext) {
        play(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        input.writeBuffer(&bytes)
        play(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        visited.note(visit) { $0.hasLeft = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func play(_ context: ChannelHandlerContext) {
        while !pausing, context.channel.isActive {
            if let serving {
                guard serve(serving, context) else { return }
            } else {
                guard next < script.count, perform(script[next], context) else { return }
                next += 1
            }
        }
    }

    /// False when the step has to wait for more input.
    private func perform(_ step: ScriptedPeer.Step, _ context: ChannelHandlerContext) -> Bool {
        switch step {
        case .say(let text): say(text + "\r\n", context)
        case .send(let text): say(text, context)
        case .expect(let pattern): return expect(pattern, context)
        case .content: return takeContent()
        case .pause(let time): pause(time, context)
        case .stopReading: context.channel.setOption(.autoRead, value: false).whenComplete { _ in }
        case .startTLS: startTLS(context)
        case .close: context.close(promise: nil)
        case .serve(let manners): serving = manners
        }
        return true
    }

    private func say(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    private func expect(_ pattern: String, _ context: ChannelHandlerContext) -> Bool {
        guard let line = takeLine() else { return false }
        let fits = pattern.last == "*" ? line.hasPrefix(pattern.dropLast()) : line == pattern
        if !fits {
            visited.note(visit) { $0.unexpected.append(line) }
            context.close(promise: nil)
        }
        return true
    }

    private func pause(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        pausing = true
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
            pausing = false
            play(context)
        }
    }

    private func startTLS(_ context: ChannelHandlerContext) {
        guard let tls else { return context.close(promise: nil) }
        visited.note(visit) { $0.tls = true }
        do {
            try context.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls), position: .first)
        } catch {
            context.close(promise: nil)
        }
    }

    private func takeLine() -> String? {
        guard let end = input.readableBytesView.firstIndex(of: 10) else { return nil }
        let length = end - input.readerIndex + 1
        guard var line = input.readString(length: length) else { return nil }
        input.discardReadBytes()
        while line.last?.isNewline == true { line.removeLast() }
        visited.note(visit) { $0.lines.append(line) }
        return line
    }

    /// Takes what ends with CRLF.CRLF, or is a lone dot.
    private func takeContent() -> Bool {
        let from = max(0, searched - 5)
        let length = input.withUnsafeReadableBytes { Self.lengthOfContent($0, from: from) }
        guard let length, let content = input.readBytes(length: length) else {
            searched = input.readableBytes
            return false
        }
        searched = 0
        visited.note(visit) { $0.contents.append(content) }
        return true
    }

    private static func lengthOfContent(_ bytes: UnsafeRawBufferPointer, from: Int) -> Int? {
        let ending: [UInt8] = [13, 10, 46, 13, 10]
        if bytes.starts(with: ending.dropFirst(2)) { return 3 }
        guard let base = bytes.baseAddress else { return nil }
        var at = from
        while at + ending.count <= bytes.count, let found = memchr(base + at, 13, bytes.count - at) {
            at = base.distance(to: UnsafeRawPointer(found))
            if at + ending.count <= bytes.count, memcmp(base + at, ending, ending.count) == 0 {
                return at + ending.count
            }
            at += 1
        }
        return nil
    }

    /// False when it has to wait for more input.
    private func serve(_ manners: ScriptedPeer.Manners, _ context: ChannelHandlerContext) -> Bool {
        if takesContent {
            guard takeContent() else { return false }
            takesContent = false
            say(manners.dot + "\r\n", context)
            return true
        }
        guard let line = takeLine() else { return false }
        let verb = line.prefix(4).uppercased()
        let reply = manners.answers.first { line.hasPrefix($0.prefix) }?.reply ?? Self.reply(verb, manners)
        say(reply + "\r\n", context)
        takesContent = verb == "DATA" && reply.hasPrefix("354")
        if verb == "QUIT" || reply.hasPrefix("421") { context.close(promise: nil) }
        return true
    }

    private static func reply(_ verb: String, _ manners: ScriptedPeer.Manners) -> String {
        switch verb {
        case "EHLO":
            (["peer"] + manners.features).enumerated().map { index, word in
                "250\(index == manners.features.count ? " " : "-")\(word)"
            }.joined(separator: "\r\n")
        case "DATA": "354 go on"
        case "QUIT": "221 2.0.0 bye"
        default: "250 2.0.0 ok"
        }
    }
}
