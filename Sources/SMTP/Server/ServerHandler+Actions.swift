import Mail
import NIOCore
import NIOSSL

extension ServerHandler {
    func run(_ action: ServerMachine.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .nothing: return
        case .greet: append(settings.greeting)
        case .hello(let extended):
            append(extended ? settings.ehlo(machine.offers) : settings.helo)
        case .reply(let reply): append(reply)
        case .upgrade(let reply): upgrade(reply, context)
        case .receive(let envelope):
            append(.goAhead)
            receive(envelope, dotted: true, context)
        case .chunk(let octets, let envelope): receiveChunk(octets, envelope, context)
        case .skip(let octets): skipChunk(octets, context)
        case .commit: commit(context)
        case .verify(let login): verify(login)
        case .name(let client): run(machine.named(client, receiver.named(client)), context)
        case .queued(let id, let last):
            output.writeStaticString("250 2.0.0 Ok: queued as ")
            output.writeString(id.description)
            output.writeStaticString("\r\n")
            if let last { close(last, context) }
        case .say(let line, let last):
            output.writeString(line)
            output.writeStaticString("\r\n")
            if let last { close(last, context) }
        case .close(let reply, let also):
            append(reply)
            close(also, context, atOnce: reply == .bye)
        }
    }

    private func append(_ reply: ServerReply) {
        reply.write(to: &output)
        if reply.code >= 500 { receiver.refused(reply) }
    }

    private func append(_ reply: ByteBuffer) {
        output.writeImmutableBuffer(reply)
    }

    private func receive(_ envelope: Envelope, dotted: Bool, _ context: ChannelHandlerContext) {
        // Most mail fits; a declared size saves growing step by step.
        let expected = min(envelope.declaredSize ?? 6 << 10, 64 << 10)
        content = context.channel.allocator.buffer(capacity: expected + 1_024)
        decoder = ContentDecoder(lineLimit: settings.lineLength, isDotted: dotted)
        refusal = nil
        isSkipping = false
        let facts = ServerSessionFacts(
            hello: machine.hello?.name ?? "", extended: machine.hello?.extended ?? false, tls: tlsVersion,
            loggedIn: machine.isLoggedIn)
        sink = receiver.begin(envelope, facts, content: &content) { [weak self] in
            guard let self, let context = self.context else { return }
            self.resumeReading(context)
        }
        contentStart = now
        extendContentDeadline()
    }

    private func receiveChunk(_ octets: Int, _ begins: Envelope?, _ context: ChannelHandlerContext) {
        if let begins { receive(begins, dotted: false, context) }
        guard now <= contentStart + settings.timeouts.content else { return run(machine.timedOut(), context) }
        chunkLeft = octets
        extendContentDeadline()
        // The last chunk may be empty: nothing comes that would end it.
        if octets == 0 { endChunk(context) }
    }

    private func skipChunk(_ octets: Int, _ context: ChannelHandlerContext) {
        sink?.abandon()
        sink = nil
        content = ByteBuffer()
        chunkLeft = octets
        isSkipping = true
        contentStart = now
        extendContentDeadline()
        if octets == 0 { endChunk(context) }
    }

    private func commit(_ context: ChannelHandlerContext) {
        guard let sink else { return }
        self.sink = nil
        // Taken out first: the answer may come at once, and the next message with it.
        var whole = content
        content = ByteBuffer()
        sink.end(&whole, eightBit: decoder.eightBit) { [weak self] verdict in
            self?.answered(verdict)
        }
    }

    private func answered(_ verdict: ServerMachine.Verdict) {
        guard let context, machine.phase == .committing else { return }
        extendCommandDeadline()
        run(machine.committed(verdict), context)
        goOn(context)
    }

    /// While we look it is not the client that is waited for.
    private func verify(_ login: Login) {
        deadline = .distantFuture
        receiver.verify(login) { [weak self] verdict in
            guard let self, let context, machine.phase == .verifying else { return }
            extendCommandDeadline()
            run(machine.verified(verdict), context)
            goOn(context)
        }
    }

    /// After an answer that the client had to wait for.
    private func goOn(_ context: ChannelHandlerContext) {
        process(context)
        if !isReading { writeReplies(context) }
        if inputClosed, !machine.isAnswering { return context.close(promise: nil) }
        resumeReading(context)
    }

    /// STARTTLS: what the client sent in the clear behind it could have been put there by anybody on the way, and would
    /// be obeyed as if it had come encrypted (RFC 3207 section 6; CVE-2011-0411).
    private func upgrade(_ reply: ServerReply, _ context: ChannelHandlerContext) {
        guard input.readableBytes == 0 else { return run(machine.violated(.notInClear), context) }
        guard let certificates else { return run(machine.violated(.storeFailed), context) }
        append(reply)
        writeReplies(context)
        do {
            let handler = certificates.makeHandler(asksClient: receiver.wantsCertificate)
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
        } catch {
            context.close(promise: nil)
        }
    }

    func writeReplies(_ context: ChannelHandlerContext) {
        guard output.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        // Written to the socket by now as a rule, and then this buffer is ours alone again.
        output.clear()
    }

    // MARK: ending

    /// Says the last words and closes so that the client can read them: a socket closed with unread octets would be
    /// reset, and the reply lost on its way.
    ///
    /// - Parameter atOnce: the client asked for it and has nothing left to send.
    private func close(_ last: ServerReply?, _ context: ChannelHandlerContext, atOnce: Bool = false) {
        if let last { append(last) }
        writeReplies(context)
        sink?.abandon()
        sink = nil
        input = ByteBuffer()
        content = ByteBuffer()
        guard !inputClosed, !atOnce else { return context.close(promise: nil) }
        isLingering = true
        deadline = now + settings.timeouts.linger
        context.close(mode: .output, promise: nil)
        resumeReading(context)
    }

    /// Octets after our last words: 1 MiB of them is patience enough.
    func drain(_ octets: Int, _ context: ChannelHandlerContext) {
        lingered += octets
        if lingered > 1 << 20 { context.close(promise: nil) }
    }

    // MARK: reading

    var mayRead: Bool {
        if isLingering { return true }
        guard isWritable, sink?.isSaturated != true else { return false }
        return input.readableBytes < Self.heldLimit
    }

    func resumeReading(_ context: ChannelHandlerContext) {
        guard heldRead, mayRead else { return }
        heldRead = false
        if machine.phase == .content || machine.phase == .chunk { contentResumed() }
        context.read()
    }

    // MARK: deadlines

    func extendCommandDeadline() {
        guard !isLingering else { return }
        deadline = now + settings.timeouts.command
    }

    func extendContentDeadline() {
        // What is thrown away earns no time by its length; it ends with the time for one message.
        let octets = isSkipping ? 1 << 32 : decoder.octets
        deadline = settings.timeouts.contentDeadline(start: contentStart, lastRead: now, octets: octets)
    }

    /// The time in which we did not read is not the client's.
    private func contentResumed() {
        let now = now
        if heldSince < now { contentStart = min(now, contentStart + (now - heldSince)) }
        extendContentDeadline()
    }

    /// Moving a deadline costs one store; whether it has passed is looked at by the loop's ``SessionWatch``.
    func checkDeadline(_ now: NIODeadline) {
        guard deadline <= now, let context else { return }
        if isLingering { return context.close(promise: nil) }
        if machine.phase == .opening || machine.phase == .handshake {
            // There is no way yet to say a word to a client that does not shake hands.
            forget()
            return context.close(promise: nil)
        }
        // Nobody can be late whom we do not read from.
        if !heldRead || !isWritable { run(machine.timedOut(), context) }
    }
}
