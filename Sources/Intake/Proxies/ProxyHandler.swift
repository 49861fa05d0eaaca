import Mail
import NIOCore

/// Reads what a load balancer says of the client before anything else, then lets the session begin; nobody is heard
/// who has not said it.
final class ProxyHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// A load balancer says it in its first packet.
    private static let patience = TimeAmount.seconds(10)

    private var input = ByteBuffer()
    private var deadline: Scheduled<Void>?
    /// Begins the session of this client, or of the load balancer itself.
    private let begin: (any Channel, IPAddress?) throws -> Void

    init(begin: @escaping (any Channel, IPAddress?) throws -> Void) {
        self.begin = begin
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        input.writeBuffer(&bytes)
        switch ProxyHeader.read(input.readableBytesView) {
        case .incomplete: return
        case .invalid: context.close(promise: nil)
        case .client(let client, let length):
            input.moveReaderIndex(forwardBy: length)
            do {
                try begin(context.channel, client)
            } catch {
                return context.close(promise: nil)
            }
            if input.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(input)) }
            input = ByteBuffer()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }
}
