import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// One HTTP server that is asked one question at a time over each of some connections, which are used again where it
/// lets us.
final class HTTPNode: Sendable {
    struct Answer: Sendable {
        var head: HTTPResponseHead
        var body: ByteBuffer
    }

    /// Octets of an answer besides a message that comes back with it.
    private static let answerLimit = RspamdReply.limit
    /// Connections that wait for their next use, of each event loop.
    private static let idleLimit = 16

    let place: NodePlace
    /// By event loop.
    private let idle = Mutex<[ObjectIdentifier: [any Channel]]>([:])

    init(place: NodePlace) {
        self.place = place
    }

    /// Sends one request. The future fails with ``NodeFailure``, at the deadline at the latest.
    func ask(
        _ head: HTTPRequestHead, _ body: ByteBuffer?, on loop: any EventLoop, by deadline: NIODeadline
    ) -> EventLoopFuture<Answer> {
        let promise = loop.makePromise(of: Answer.self)
        let exchange = HTTPExchange(
            head: head, body: body, limit: Self.answerLimit + (body?.readableBytes ?? 0), promise: promise)
        let alarm = loop.assumeIsolated().scheduleTask(deadline: deadline) {
            exchange.fail(NodeFailure("did not answer in time"))
        }
        promise.futureResult.whenComplete { _ in alarm.cancel() }
        if let channel = takeIdle(loop) {
            exchange.retry = { self.connect(exchange, loop, deadline) }
            send(exchange, over: channel)
        } else {
            connect(exchange, loop, deadline)
        }
        return promise.futureResult
    }

    private func takeIdle(_ loop: any EventLoop) -> (any Channel)? {
        idle.withLock { idle in
            while let channel = idle[ObjectIdentifier(loop)]?.popLast() {
                if channel.isActive { return channel }
            }
            return nil
        }
    }

    private func keep(_ channel: any Channel) {
        let isKept = idle.withLock { idle in
            let key = ObjectIdentifier(channel.eventLoop)
            guard idle[key, default: []].count < Self.idleLimit else { return false }
            idle[key, default: []].append(channel)
            return true
        }
        if !isKept { channel.close(promise: nil) }
    }

    private func connect(_ exchange: HTTPExchange, _ loop: any EventLoop, _ deadline: NIODeadline) {
        let left = deadline - .now()
        guard left > .zero else { return exchange.fail(NodeFailure("did not answer in time")) }
        place.connect(loop, timeout: left) { channel in
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
            try pipeline.addHandler(HTTPNodeHandler())
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.send(exchange, over: channel)
            case .failure(let error): exchange.fail(NodeFailure("cannot be reached: \(error)"))
            }
        }
    }

    private func send(_ exchange: HTTPExchange, over channel: any Channel) {
        guard let handler = try? channel.pipeline.syncOperations.handler(type: HTTPNodeHandler.self) else {
            return exchange.fail(NodeFailure("has gone"))
        }
        handler.begin(exchange, on: channel) { [self] in keep(channel) }
    }

    /// Closes what is idle.
    func stop() {
        let channels = idle.withLock { idle in
            defer { idle.removeAll() }
            return idle.values.flatMap(\.self)
        }
        for channel in channels { channel.close(promise: nil) }
    }
}

/// One request and its answer; lives on its event loop.
final class HTTPExchange {
    let head: HTTPRequestHead
    let body: ByteBuffer?
    /// Octets of the answer's body.
    let limit: Int
    /// Goes on over a new connection; set where the one in use may have been closed by its server meanwhile.
    var retry: (() -> Void)?
    /// Closes the connection in use.
    var cut: (() -> Void)?
    private var promise: EventLoopPromise<HTTPNode.Answer>?

    init(head: HTTPRequestHead, body: ByteBuffer?, limit: Int, promise: EventLoopPromise<HTTPNode.Answer>) {
        self.head = head
        self.body = body
        self.limit = limit
        self.promise = promise
    }

    var isOver: Bool { promise == nil }

    func succeed(_ answer: HTTPNode.Answer) {
        let promise = self.promise
        self.promise = nil
        cut = nil
        promise?.succeed(answer)
    }

    func fail(_ failure: NodeFailure) {
        let promise = self.promise
        self.promise = nil
        cut?()
        cut = nil
        promise?.fail(failure)
    }

    /// The connection broke: an idle one is tried again anew when nothing was heard on it.
    func broke(_ reason: String, heard: Bool) {
        cut = nil
        guard !isOver else { return }
        if !heard, let retry {
            self.retry = nil
            return retry()
        }
        fail(NodeFailure(reason))
    }
}

/// Reads one answer after another.
private final class HTTPNodeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private var exchange: HTTPExchange?
    private var done: (() -> Void)?
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()
    /// The request has been written: an answer that comes before that ends the connection.
    private var isSent = false

    func begin(_ exchange: HTTPExchange, on channel: any Channel, done: @escaping () -> Void) {
        guard !exchange.isOver else { return done() }
        self.exchange = exchange
        self.done = done
        head = nil
        body = ByteBuffer()
        isSent = false
        exchange.cut = { channel.close(promise: nil) }
        channel.write(HTTPClientRequestPart.head(exchange.head), promise: nil)
        if let body = exchange.body { channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil) }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil)).assumeIsolated().whenSuccess { self.isSent = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(var part):
            guard let exchange, body.readableBytes + part.readableBytes <= exchange.limit else {
                exchange?.fail(NodeFailure("answered more than is read"))
                return context.close(promise: nil)
            }
            body.writeBuffer(&part)
        case .end: end(context)
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard let exchange, let head else { return context.close(promise: nil) }
        let (done, isKept) = (done, head.isKeepAlive && isSent)
        self.exchange = nil
        self.done = nil
        exchange.succeed(HTTPNode.Answer(head: head, body: body))
        body = ByteBuffer()
        if isKept { done?() } else { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        broke("closed the connection")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        broke("broke the protocol: \(error)")
        context.close(promise: nil)
    }

    private func broke(_ reason: String) {
        let exchange = exchange
        self.exchange = nil
        done = nil
        exchange?.broke(reason, heard: head != nil)
    }
}
