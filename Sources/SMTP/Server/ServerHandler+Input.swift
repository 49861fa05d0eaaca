import Mail
import NIOCore
import NIOSSL

extension ServerHandler {
    /// Looks at what has come in until nothing more can be done with it.
    func process(_ context: ChannelHandlerContext) {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        let before = input.readableBytes
        var goesOn = true
        while goesOn, input.readableBytes > 0 {
            switch machine.phase {
            case .commands, .credentials: goesOn = isWritable && takeLine(context)
            case .content: goesOn = takeContent(context)
            case .chunk: takeChunk(context)
            case .opening:
                // Who talks before the greeting is not heard (RFC 5321 section 4.3.1).
                input = ByteBuffer()
            case .committing, .verifying, .handshake: goesOn = false
            case .closed:
                drain(input.readableBytes, context)
                input = ByteBuffer()
            }
        }
        keepRest(before)
    }

    /// Lets go of the channel's own read buffer: it is used again only when nobody else holds it.
    private func keepRest(_ before: Int) {
        if input.readableBytes == 0 {
            input = ByteBuffer()
        } else if input.readableBytes < before || input.readerIndex > 0 {
            input = ByteBuffer(buffer: input)
        }
    }

    /// - Returns: whether there was a whole line, so that there may be another.
    private func takeLine(_ context: ChannelHandlerContext) -> Bool {
        switch input.withUnsafeReadableBytes({ LineFraming.next($0) }) {
        case .line(let length):
            let action = command(length)
            input.moveReaderIndex(forwardBy: length + 2)
            extendCommandDeadline()
            run(action, context)
            if sink != nil { dropForgotten() }
            return true
        case .incomplete:
            shortenLongLine()
            return false
        case .bareCR: run(machine.violated(.bareCR), context)
        case .bareLF: run(machine.violated(.bareLF), context)
        }
        return true
    }

    private func command(_ length: Int) -> ServerMachine.Action {
        if isInLongLine || length > Self.commandLineLimit - 2 {
            isInLongLine = false
            return machine.receivedLongLine()
        }
        if machine.phase == .credentials {
            return input.withUnsafeReadableBytes { machine.received(response: Span(_unsafeBytes: $0[..<length])) }
        }
        do throws(CommandFault) {
            let command = try parse(length)
            switch command {
            case .mail(let mail):
                return machine.received(
                    command, admission: receiver.admission() ?? receiver.refusal(of: mail.sender))
            case .rcpt(let recipient, _):
                return machine.received(command, admission: receiver.refusal(ofRecipient: recipient))
            default: return machine.received(command, admission: receiver.admission())
            }
        } catch {
            return machine.received(error)
        }
    }

    private func parse(_ length: Int) throws(CommandFault) -> Command {
        let result = input.withUnsafeReadableBytes { bytes -> Result<Command, CommandFault> in
            do throws(CommandFault) {
                return .success(try CommandParser.parse(UnsafeRawBufferPointer(rebasing: bytes[..<length])))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Of a line without end only its last octet is kept: it may be the CR of its CRLF.
    private func shortenLongLine() {
        guard input.readableBytes > Self.commandLineLimit else { return }
        isInLongLine = true
        input.moveReaderIndex(forwardBy: input.readableBytes - 1)
    }

    /// - Returns: whether to go on with what is left.
    private func takeContent(_ context: ChannelHandlerContext) -> Bool {
        let step = decoder.decode(&input, into: &content)
        extendContentDeadline()
        switch step {
        case .more:
            check()
            offer()
            guard decoder.octets <= machine.policy.swallowLimit else {
                run(machine.violated(refusal ?? .tooLarge), context)
                return true
            }
            return false
        case .end:
            check()
            offer()
            // While a commit is under way it is not the client that is waited for.
            deadline = .distantFuture
            run(machine.contentEnded(refusal: refusal), context)
            if machine.phase == .commands { extendCommandDeadline() }
        case .bareCR: run(machine.violated(.bareCR), context)
        case .bareLF: run(machine.violated(.bareLF), context)
        }
        return true
    }

    /// RSET and its kind end a message that was coming in chunk by chunk.
    private func dropForgotten() {
        guard machine.phase == .commands, !machine.takesChunks else { return }
        sink?.abandon()
        sink = nil
        content = ByteBuffer()
    }

    /// Takes what has come of a chunk: octets by their count, whatever they look like (RFC 3030 section 2).
    private func takeChunk(_ context: ChannelHandlerContext) {
        let count = min(chunkLeft, input.readableBytes)
        guard var piece = input.readSlice(length: count) else { return }
        chunkLeft -= count
        if !isSkipping {
            switch decoder.decode(&piece, into: &content) {
            case .more, .end: break
            case .bareCR: return run(machine.violated(.bareCR), context)
            case .bareLF: return run(machine.violated(.bareLF), context)
            }
            check()
            offer()
        }
        extendContentDeadline()
        if chunkLeft == 0 { endChunk(context) }
    }

    func endChunk(_ context: ChannelHandlerContext) {
        if machine.isLastChunk, !isSkipping, refusal == nil, !decoder.isAtLineStart { refuse(.noLineEnd) }
        // While a commit is under way it is not the client that is waited for.
        deadline = .distantFuture
        run(machine.chunkEnded(refusal: isSkipping ? nil : refusal), context)
        if machine.phase == .commands { extendCommandDeadline() }
    }

    private func check() {
        guard refusal == nil else { return }
        if decoder.octets > machine.policy.messageSize {
            refuse(.tooLarge)
        } else if decoder.hasNUL {
            refuse(.containsNUL)
        } else if decoder.hasLongLine {
            refuse(.longLine)
        }
    }

    private func offer() {
        guard refusal == nil, let sink else { return }
        var taken = content
        content = ByteBuffer()
        let refusal = sink.received(&taken)
        content = taken
        guard let refusal else { return }
        self.sink = nil
        refuse(refusal)
    }

    /// The rest of the content is read, since only after it the client listens, and thrown away.
    private func refuse(_ reply: ServerReply) {
        refusal = reply
        decoder.discards = true
        sink?.abandon()
        sink = nil
        content = ByteBuffer()
    }
}
