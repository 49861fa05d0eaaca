import NIOCore
import NIOHTTP1

/// One request, one answer, and the end of the connection; all of it within ``deadline``.
final class ConsoleHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// A scrape of a busy relay takes milliseconds; Prometheus gives up after 10 s itself.
    static let deadline = TimeAmount.seconds(10)

    private let desk: Desk
    private var request: HTTPRequestHead?
    private var isAnswered = false

    init(desk: Desk) {
        self.desk = desk
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        let task = context.eventLoop.scheduleTask(in: Self.deadline) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in task.cancel() }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = request ?? head
        // Nothing here takes a body, and its size does not matter: it is dropped as it comes.
        case .body: break
        case .end: answer(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard let request, !isAnswered else { return }
        isAnswered = true
        let (channel, desk) = (context.channel, desk)
        let (method, target, version) = (request.method, request.uri, request.version)
        desk.run {
            let page = desk.page(method, target)
            channel.eventLoop.execute { Self.write(page, to: channel, isHead: method == .HEAD, version) }
        }
    }

    private static func write(_ page: Desk.Page, to channel: any Channel, isHead: Bool, _ version: HTTPVersion) {
        let body = channel.allocator.buffer(string: page.body)
        let headers: HTTPHeaders = [
            "content-type": page.type, "content-length": "\(body.readableBytes)", "cache-control": "no-store",
            "connection": "close",
        ]
        let head = HTTPResponseHead(version: version, status: page.status, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        if !isHead { channel.write(HTTPServerResponsePart.body(.byteBuffer(body)), promise: nil) }
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
    }
}
