import NIOCore

/// What clamd says of a stream, and what that is worth.
enum ClamdAnswer: Sendable, Hashable {
    case clean
    case virus(String)

    /// Reads the answer to INSTREAM (clamd(8)), without its NUL.
    ///
    /// Over its limits clamd says `Heuristics.Limits.Exceeded… FOUND` (with `AlertExceedsMax yes`) or `INSTREAM size
    /// limit exceeded. ERROR`: neither has looked at all of the message, so neither is clean.
    static func read(_ text: String) throws(NodeFailure) -> ClamdAnswer {
        if text == "stream: OK" { return .clean }
        let said = String(text.map { $0.isASCII && !$0.isNewline ? $0 : "?" }.prefix(120))
        if text.hasPrefix("INSTREAM size limit exceeded") { throw NodeFailure("takes less", isTooLarge: true) }
        guard text.hasPrefix("stream: "), text.hasSuffix(" FOUND") else { throw NodeFailure("answered “\(said)”") }
        let name = String(said.dropFirst("stream: ".count).dropLast(" FOUND".count))
        guard !name.isEmpty, text.count <= 120 else { throw NodeFailure("answered “\(said)”") }
        if name.hasPrefix("Heuristics.Limits.Exceeded") {
            throw NodeFailure("went only as far as its limits: \(name)", isTooLarge: true)
        }
        return .virus(name)
    }
}

/// One scan over a connection of its own: what is written goes in pieces; each waits until the one before it is out.
final class ClamdScan: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Octets at a time.
    private static let piece = 256 << 10
    /// Octets of an answer.
    private static let longest = 1_024

    private var content: ByteBuffer
    private var promise: EventLoopPromise<ClamdAnswer>?
    private var answer = ByteBuffer()

    init(content: ByteBuffer, promise: EventLoopPromise<ClamdAnswer>) {
        self.content = content
        self.promise = promise
    }

    /// Asks the node; the future fails with ``NodeFailure``, at the deadline at the latest.
    static func run(
        _ content: ByteBuffer, at place: NodePlace, on loop: any EventLoop, by deadline: NIODeadline
    ) -> EventLoopFuture<ClamdAnswer> {
        let promise = loop.makePromise(of: ClamdAnswer.self)
        let scan = ClamdScan(content: content, promise: promise)
        place.converse(scan, on: loop, by: deadline, fail: scan.fail)
        return promise.futureResult
    }

    func channelActive(context: ChannelHandlerContext) {
        var command = context.channel.allocator.buffer(capacity: 16)
        command.writeStaticString("zINSTREAM\0")
        context.write(wrapOutboundOut(command), promise: nil)
        writeNext(context)
        context.fireChannelActive()
    }

    private func writeNext(_ context: ChannelHandlerContext) {
        guard promise != nil else { return }
        let piece = content.readSlice(length: min(Self.piece, content.readableBytes)) ?? ByteBuffer()
        var length = context.channel.allocator.buffer(capacity: 4)
        length.writeInteger(UInt32(piece.readableBytes))
        context.write(wrapOutboundOut(length), promise: nil)
        guard piece.readableBytes > 0 else { return context.flush() }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(piece)).assumeIsolated().whenSuccess { self.writeNext(bound.value) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        guard answer.readableBytes + part.readableBytes <= Self.longest else {
            fail(NodeFailure("answered more than is read"))
            return context.close(promise: nil)
        }
        answer.writeBuffer(&part)
        guard answer.readableBytesView.contains(0) else { return }
        end()
        context.close(promise: nil)
    }

    private func end() {
        let text = String(decoding: answer.readableBytesView.prefix { $0 != 0 }, as: UTF8.self)
        do throws(NodeFailure) {
            let answer = try ClamdAnswer.read(text)
            promise?.succeed(answer)
            promise = nil
        } catch {
            fail(error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(NodeFailure("closed the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(NodeFailure("broke the connection: \(error)"))
        context.close(promise: nil)
    }

    func fail(_ failure: NodeFailure) {
        promise?.fail(failure)
        promise = nil
    }
}
