import NIOCore

/// Waits a moment when the system gives no more connections (out of descriptors or memory): the one that waits would be
/// tried again at once, and for ever.
final class AcceptPause: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(100)

    private let log: RefusalLog
    private var isPausing = false
    private var heldRead = false

    init(log: RefusalLog) {
        self.log = log
    }

    func read(context: ChannelHandlerContext) {
        if isPausing { heldRead = true } else { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        log.notAccepted(error)
        guard !isPausing else { return }
        isPausing = true
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.value.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            isPausing = false
            guard heldRead else { return }
            heldRead = false
            context.value.read()
        }
    }
}
