import NIOCore
import SMTP

/// Tells a client why there is no session for it, where that can be said in the clear, and closes.
final class LastWords: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let reply: ServerReply?

    init(_ reply: ServerReply?) {
        self.reply = reply
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // Behind a load balancer the connection is there before the client is known.
        if context.channel.isActive { say(context) }
    }

    func channelActive(context: ChannelHandlerContext) { say(context) }

    private func say(_ context: ChannelHandlerContext) {
        if let reply {
            var bytes = ByteBuffer()
            reply.write(to: &bytes)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
