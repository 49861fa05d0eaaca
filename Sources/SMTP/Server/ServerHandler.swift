import Mail
package import NIOCore
import NIOSSL
import NIOTLS

/// Carries out what ``ServerMachine`` decides, in one handler: octets come in, lines and content are cut out of them
/// where they lie, and all replies to one read leave in one write (RFC 2920 section 3.2).
///
/// No task, no thread hop and no allocation per line. Decisions are the machine's; content is the sink's.
package final class ServerHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Octets of a command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for 512 and more for each extension;
    /// beyond this there is no command.
    static let commandLineLimit = 2_048
    /// Octets that are kept unread while we cannot look at them (a commit is under way, the client does not read).
    static let heldLimit = 64 << 10
    /// Octets of replies that are written at once as a rule; EHLO has the longest.
    private static let replyRoom = 200

    let settings: ServerSettings
    let receiver: any MailReceiver
    let certificates: CertificateHolder?
    let readSize: ServerReadSize
    var machine: ServerMachine
    var context: ChannelHandlerContext?

    /// Octets that came in and were not looked at.
    var input = ByteBuffer()
    /// Replies not yet written.
    var output = ByteBuffer()
    /// Content of the message that is coming in.
    var content = ByteBuffer()
    var decoder: ContentDecoder
    var sink: (any MessageSink)?
    /// Why the message that is coming in will be refused at its end.
    var refusal: ServerReply?
    /// Octets of the chunk that have not come yet, and whether they are thrown away.
    var chunkLeft = 0
    var isSkipping = false

    /// The end of a line above the limit is being looked for.
    var isInLongLine = false
    /// Octets come in right now: replies wait for the end of the read.
    var isReading = false
    var isProcessing = false
    /// As the channel last said: asking it costs more than looking at a command.
    var isWritable = true
    /// The channel asked to read and was not let.
    var heldRead = false
    var heldSince = NIODeadline.distantFuture
    /// Nothing is read any more but to let the client see our last words.
    var isLingering = false
    var lingered = 0
    var inputClosed = false
    var tlsVersion: String?

    var deadline = NIODeadline.distantFuture
    var contentStart = NIODeadline.distantFuture
    let watch: SessionWatch
    /// Where it stands in the list of `watch`.
    var slot: Int?

    /// - Parameters:
    ///   - certificates: needed where the listener has TLS.
    ///   - watch: that of the channel's event loop.
    ///   - readSize: what the channel has as its receive allocator, if it has one of that kind.
    package init(
        settings: ServerSettings, policy: ServerMachine.Policy, receiver: any MailReceiver,
        certificates: CertificateHolder?, watch: SessionWatch, readSize: ServerReadSize = ServerReadSize()
    ) {
        self.settings = settings
        self.watch = watch
        self.readSize = readSize
        self.receiver = receiver
        self.certificates = certificates
        machine = ServerMachine(policy: policy, offersTLS: settings.mode == .starttls)
        decoder = ContentDecoder(lineLimit: settings.lineLength)
    }

    /// By the clock of the loop, which tests move by hand.
    var now: NIODeadline { context?.eventLoop.now ?? .now() }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isWritable = context.channel.isWritable
        if context.channel.isActive { opened(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        forget()
        self.context = nil
        receiver.ended(context.channel)
    }

    package func channelActive(context: ChannelHandlerContext) {
        opened(context)
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        forget()
        context.fireChannelInactive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        isReading = true
        guard machine.phase != .closed else { return drain(bytes.readableBytes, context) }
        if input.readableBytes == 0 { input = bytes } else { input.writeBuffer(&bytes) }
        process(context)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        writeReplies(context)
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable {
            process(context)
            if !isReading { writeReplies(context) }
        }
        resumeReading(context)
        context.fireChannelWritabilityChanged()
    }

    package func read(context: ChannelHandlerContext) {
        readSize.isContent = machine.phase == .content || machine.phase == .chunk
        if mayRead { return context.read() }
        if !heldRead { heldSince = now }
        heldRead = true
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A broken handshake or connection: there is nobody to talk to.
        forget()
        context.close(promise: nil)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted: encrypted(context)
        case ChannelEvent.inputClosed:
            inputClosed = true
            guard !machine.isAnswering else { return }
            writeReplies(context)
            context.close(promise: nil)
        case let event as ServerEvent:
            run(event == .shutDown ? machine.shutDown() : machine.cutOff(), context)
            if !isReading { writeReplies(context) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func opened(_ context: ChannelHandlerContext) {
        guard machine.phase == .opening, slot == nil else { return }
        output.reserveCapacity(Self.replyRoom)
        extendCommandDeadline()
        watch.add(self)
        guard settings.mode != .implicit else { return }
        run(machine.opened(encrypted: false), context)
        writeReplies(context)
    }

    private func encrypted(_ context: ChannelHandlerContext) {
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        tlsVersion = handler?.tlsVersion.map(Self.name) ?? "TLS"
        if let certificate = handler?.peerCertificate.flatMap(ClientCertificate.init) {
            machine.policy = receiver.shown(certificate)
        }
        extendCommandDeadline()
        run(machine.phase == .opening ? machine.opened(encrypted: true) : machine.encrypted(), context)
        writeReplies(context)
    }

    private static func name(_ version: TLSVersion) -> String {
        switch version {
        case .tlsv1: "TLSv1"
        case .tlsv11: "TLSv1.1"
        case .tlsv12: "TLSv1.2"
        case .tlsv13: "TLSv1.3"
        }
    }

    /// The session is over, whoever ended it.
    func forget() {
        machine.disconnected()
        sink?.abandon()
        sink = nil
        watch.remove(self)
        input = ByteBuffer()
        content = ByteBuffer()
    }
}

/// What the server tells its sessions, as a user event of their channels.
package enum ServerEvent: Sendable, Hashable {
    /// Finish the message you are in, then end.
    case shutDown
    /// End.
    case cutOff
}
