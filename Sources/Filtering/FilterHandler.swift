import NIOCore
import NIOHTTP1

/// One client of a filter node: a request, its answer, and the next; each is to be sent whole within ``patience``.
final class FilterHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    static let patience = TimeAmount.seconds(60)

    private let server: FilterServer
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var held = 0
    /// Why the rest of the request is thrown away.
    private var refusal: FilterReply?
    private var alarm: Scheduled<Void>?

    init(server: FilterServer) {
        self.server = server
    }

    func channelActive(context: ChannelHandlerContext) {
        wait(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        alarm?.cancel()
        letGo()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(var part): take(&part)
        case .end: end(context)
        }
    }

    private func wait(_ context: ChannelHandlerContext) {
        alarm?.cancel()
        let channel = context.channel
        alarm = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }

    private func letGo() {
        server.letGo(held)
        held = 0
        body = ByteBuffer()
    }

    // MARK: reading

    private func begin(_ head: HTTPRequestHead) {
        self.head = head
        refusal = nil
        let declared = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        if declared > server.filter.configuration.maxSize { refusal = .tooLarge }
    }

    private func take(_ part: inout ByteBuffer) {
        guard refusal == nil else { return }
        let octets = part.readableBytes
        if body.readableBytes + octets > server.filter.configuration.maxSize {
            refusal = .tooLarge
        } else if !server.hold(octets) {
            refusal = FilterReply(unavailable: "too much is being read already")
        } else {
            held += octets
            body.writeBuffer(&part)
            return
        }
        letGo()
    }

    private func end(_ context: ChannelHandlerContext) {
        guard let head else { return context.close(promise: nil) }
        self.head = nil
        alarm?.cancel()
        if let refusal { return write(refusal, for: head, context) }
        switch head.uri.prefix(while: { $0 != "?" }) {
        case "/checkv2", "/check", "/checkv3": check(head, context)
        case "/ping": write(.pong, for: head, context)
        case "/stat", "/status":
            write(FilterReply(stat: server.filter.figures, since: server.started), for: head, context)
        default: write(.notFound, for: head, context)
        }
    }

    // MARK: answering

    private func check(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard let question = Question(head, body) else { return write(.notRead, for: head, context) }
        let server = server
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        server.filter.checked(question, on: context.eventLoop).assumeIsolated().whenComplete { result in
            let joined = (try? result.get()) ?? Joined(result: .unavailable("the check broke"))
            server.note(question, joined)
            let (handler, context) = bound.value
            handler.letGo()
            guard context.channel.isActive else { return }
            handler.write(FilterReply(joined, for: head), for: head, context)
        }
    }

    private func write(_ reply: FilterReply, for request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var headers: HTTPHeaders = [
            "content-type": reply.type, "content-length": "\(reply.body.readableBytes)", "server": "figaro",
        ]
        headers.add(contentsOf: reply.headers)
        let isKept = request.isKeepAlive && refusal == nil
        headers.add(name: "connection", value: isKept ? "keep-alive" : "close")
        let head = HTTPResponseHead(version: request.version, status: reply.status, headers: headers)
        letGo()
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(reply.body))), promise: nil)
        let channel = context.channel
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if isKept { wait(context) } else { written.whenComplete { _ in channel.close(promise: nil) } }
    }
}

extension Question {
    /// Fields that rspamd reads besides those of the envelope; they are handed on.
    private static let passed = [
        "Pass", "Subject", "Deliver-To", "MTA-Tag", "MTA-Name", "Settings", "Settings-ID", "Raw", "Log-Tag", "Filename",
        "TLS-Cipher", "Mail-Esmtp-Args",
    ]

    /// nil where the request cannot be read: it is compressed or encrypted.
    init?(_ head: HTTPRequestHead, _ body: ByteBuffer) {
        let headers = head.headers
        guard !headers.contains(name: "Compression"), !headers.contains(name: "Key"),
            !headers.contains(name: "Content-Encoding")
        else { return nil }
        self.init(content: body)
        sender = headers.first(name: "From")
        recipients = Array(headers["Rcpt"].prefix(1_000))
        client = headers.first(name: "IP")
        hello = headers.first(name: "Helo")
        user = headers.first(name: "User")
        queueID = headers.first(name: "Queue-Id") ?? headers.first(name: "Queue-ID")
        tls = headers.first(name: "TLS-Version")
        hostname = headers.first(name: "Hostname")
        for name in Self.passed {
            for value in headers[name].prefix(10) {
                passed.append(Verdict.Changes.Field(name: name, value: value))
            }
        }
    }
}
