import NIOCore

/// Asks clamd whether it is there.
final class ClamdPing: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var promise: EventLoopPromise<Void>?
    private var answer = ""

    private init(_ promise: EventLoopPromise<Void>) {
        self.promise = promise
    }

    static func run(at place: NodePlace, on loop: any EventLoop, by deadline: NIODeadline) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        let ping = ClamdPing(promise)
        place.converse(ping, on: loop, by: deadline, fail: ping.end)
        return promise.futureResult
    }

    func channelActive(context: ChannelHandlerContext) {
        var command = context.channel.allocator.buffer(capacity: 8)
        command.writeStaticString("zPING\0")
        context.writeAndFlush(wrapOutboundOut(command), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answer += String(buffer: unwrapInboundIn(data)).prefix(16)
        guard answer.utf8.count >= 4 else { return }
        end(answer.hasPrefix("PONG") ? nil : NodeFailure("answered something else"))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(NodeFailure("closed the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func end(_ failure: NodeFailure?) {
        if let failure { promise?.fail(failure) } else { promise?.succeed() }
        promise = nil
    }
}
