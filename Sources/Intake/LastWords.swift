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

    func channelActive(context: ChannelHandlerContext) {
        if let reply {
            var bytes = ByteBuffer()
            bytes.writeStaticString(reply.line)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
