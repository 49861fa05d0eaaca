import Mail
package import NIOCore
import NIOSSL
import NIOTLS

/// The client's side of an SMTP connection in one handler: replies are parsed here, ``ClientMachine`` decides, and what
/// it decides is done here. Everything but `init` happens on the channel's loop.
///
/// Whoever makes it calls ``checkDeadline(_:)`` from time to time; there is no timer of its own, since a thousand
/// sessions that move a timer with every command would keep the loop's heap busy.
package final class ClientHandler: ChannelInboundHandler, @unchecked Sendable {
    // SAFETY: mutable state is touched on the channel's event loop only, which the callers of `send`, `close` and
    // `checkDeadline` keep to and NIO keeps to by itself.
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Octets of content up to which copying it before its final dot costs less than writing the two as a vector.
    private static let copied = 16 << 10

    private let hello: String
    private let host: String
    private let security: ClientTLS
    private let login: Login?
    private let deadlines: ClientDeadlines
    private var delegate: (any ClientDelegate)?

    private var machine: ClientMachine
    private var parser = ReplyParser()
    private var context: ChannelHandlerContext?
    private var deadline: NIODeadline?
    private var output = ByteBuffer()
    private var envelope: ClientEnvelope?
    private var stream: ContentStream?
    private var tls: NIOSSLClientHandler?
    /// The delegate must not hear anything before `send` or `close` has returned.
    private var called = false

    /// - Parameters:
    ///   - hello: the name for EHLO.
    ///   - host: for SNI and the certificate.
    ///   - login: said to a verified host over TLS; to any other the connection fails.
    ///   - delegate: kept until it was told that the connection is gone.
    package init(
        hello: String, host: String, security: ClientTLS, login: Login? = nil, deadlines: ClientDeadlines,
        delegate: any ClientDelegate
    ) {
        self.login = login
        self.hello = hello
        self.host = host
        self.security = security
        self.deadlines = deadlines
        self.delegate = delegate
        self.machine = ClientMachine(secrecy: security.secrecy, hasLogin: login != nil)
    }

    /// Waits for a transaction.
    package var isIdle: Bool { machine.state == .idle }

    /// Sends one message while idle; `clientFinished` follows, whatever happens.
    package func send(_ envelope: ClientEnvelope) {
        called = true
        defer { called = false }
        self.envelope = envelope
        run(machine.send(envelope.needs, stray: !parser.isEmpty))
    }

    /// Says QUIT when idle, after the transaction otherwise, and closes.
    package func close() {
        called = true
        defer { called = false }
        run(machine.close())
    }

    /// Ends what has waited too long.
    package func checkDeadline(_ now: NIODeadline) {
        guard let deadline, deadline <= now else { return }
        if stream?.isReading == true {
            run(machine.contentFailed("content could not be read in time"))
        } else {
            run(machine.timedOut())
        }
    }

    // MARK: Events

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive {
            run(machine.connected())
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        delegate = nil
        dropContent()
    }

    package func channelActive(context: ChannelHandlerContext) {
        run(machine.connected())
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        run(machine.lost("the host closed the connection"))
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        run(machine.lost(ConnectionTrouble.text(error)))
        context.close(promise: nil)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            run(machine.tlsEstablished(tls?.tlsVersion?.name ?? "TLS"))
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        stream?.pump()
        context.fireChannelWritabilityChanged()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard machine.state != .gone else { return }
        parser.feed(unwrapInboundIn(data))
        while machine.state != .gone {
            switch parser.next() {
            case .incomplete:
                return
            case .nonsense(let text):
                run(machine.violated(text))
            case .reply(let code):
                run(machine.received(code, more: !parser.isEmpty) { parser.reply() })
            }
        }
    }

    // MARK: Actions

    private func run(_ action: ClientAction) {
        watch()
        switch action {
        case .wait: break
        case .ehlo, .helo, .startTLS, .reset, .quit: say(action)
        case .handshake: startTLS()
        case .authenticate(let step): authenticate(step)
        case .opened:
            let tls = machine.tls
            let features = machine.features
            report { $0.clientOpened(tls: tls, features: features) }
        case .failed(let answer, let quit):
            let delegate = takeDelegate()
            if quit { say(.quit) } else { context?.close(promise: nil) }
            report(to: delegate) { $0.clientFailed(answer) }
        case .envelope, .mail, .rcpt, .data: writeEnvelope(action)
        case .content: writeContent()
        case .loneDot: context?.writeAndFlush(wrapOutboundOut(DotStuffing.dotLine), promise: nil)
        case .finished(let answers, let then): finish(answers, then)
        case .closed:
            let delegate = takeDelegate()
            context?.close(promise: nil)
            report(to: delegate) { $0.clientClosed() }
        case .drop:
            context?.close(promise: nil)
        }
    }

    /// Sets the deadline for what the machine waits for now.
    private func watch() {
        let now = context?.eventLoop.now ?? .now()
        deadline = machine.waiting.map { now + deadlines.span(of: $0) }
    }

    private func say(_ action: ClientAction) {
        output.clear()
        switch action {
        case .ehlo: output.writeCommand("EHLO ", hello)
        case .helo: output.writeCommand("HELO ", hello)
        case .startTLS: output.writeStaticString("STARTTLS\r\n")
        case .reset: output.writeStaticString("RSET\r\n")
        default: output.writeStaticString("QUIT\r\n")
        }
        flush()
    }

    private func authenticate(_ step: ClientMachine.AuthStep) {
        guard let login else { return }
        output.clear()
        switch step {
        case .plain: output.writeCommand("AUTH PLAIN ", Base64.text("\0\(login.username)\0\(login.password)".utf8))
        case .login: output.writeStaticString("AUTH LOGIN\r\n")
        case .loginName: output.writeCommand("", Base64.text(login.username.utf8))
        case .loginPassword: output.writeCommand("", Base64.text(login.password.utf8))
        }
        flush()
        output.clear()
    }

    private func flush() {
        context?.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }

    private func startTLS() {
        do {
            guard let context, let handler = try security.handler(host: host) else { return }
            tls = handler
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            run(machine.tlsFailed(ConnectionTrouble.text(error)))
        }
    }

    private func writeEnvelope(_ action: ClientAction) {
        guard let envelope else { return }
        output.clear()
        if action == .envelope || action == .mail {
            output.writeMail(envelope, needsUTF8: machine.transaction.utf8, features: machine.features)
        }
        switch action {
        case .envelope:
            for recipient in envelope.recipients {
                output.writeRecipient(recipient, envelope, utf8: machine.transaction.utf8, features: machine.features)
            }
            output.writeStaticString("DATA\r\n")
        case .rcpt(let index) where index < envelope.recipients.count:
            output.writeRecipient(
                envelope.recipients[index], envelope, utf8: machine.transaction.utf8, features: machine.features)
        case .data:
            output.writeStaticString("DATA\r\n")
        default: break
        }
        flush()
    }

    private func finish(_ answers: [PhaseAnswer], _ then: ClientAction.Afterwards) {
        dropContent()
        guard then != .stay else {
            report { $0.clientFinished(answers, reusable: true) }
            return
        }
        let delegate = takeDelegate()
        if then == .quit { say(.quit) } else { context?.close(promise: nil) }
        report(to: delegate) { $0.clientFinished(answers, reusable: false) }
    }

    // MARK: Content

    private func writeContent() {
        guard let context, let envelope else { return }
        switch envelope.content {
        case .inline(let content):
            var stuffing = DotStuffing()
            let stuffed = stuffing.stuff(content)
            guard stuffed.readableBytes <= Self.copied else {
                context.write(wrapOutboundOut(stuffed), promise: nil)
                return writeEnding(stuffing.ending)
            }
            output.clear()
            output.writeImmutableBuffer(stuffed)
            output.writeImmutableBuffer(stuffing.ending)
            writeEnding(output)
        case .stream(let open):
            let stream = ContentStream(size: envelope.size, channel: context.channel, handler: self)
            self.stream = stream
            stream.start(open(context.eventLoop))
        }
    }

    /// A block of streamed content.
    func writeBlock(_ block: ByteBuffer) {
        watch()
        context?.writeAndFlush(wrapOutboundOut(block), promise: nil)
    }

    /// The final dot. Only once it is with the kernel can anybody have got it.
    func writeEnding(_ ending: ByteBuffer) {
        guard let context else { return }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.whenSuccess { [self] in run(machine.contentSent()) }
        context.writeAndFlush(wrapOutboundOut(ending), promise: sent)
    }

    func contentFailed(_ text: String) {
        run(machine.contentFailed(text))
    }

    private func dropContent() {
        envelope = nil
        stream?.stop()
        stream = nil
    }

    // MARK: Reports

    private func takeDelegate() -> (any ClientDelegate)? {
        defer { delegate = nil }
        return delegate
    }

    private func report(_ body: @escaping (any ClientDelegate) -> Void) {
        report(to: delegate, body)
    }

    private func report(to delegate: (any ClientDelegate)?, _ body: @escaping (any ClientDelegate) -> Void) {
        guard let delegate else { return }
        guard called, let loop = context?.eventLoop else { return body(delegate) }
        loop.assumeIsolated().execute { body(delegate) }
    }
}
