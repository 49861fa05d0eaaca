import Filtering
import Mail
import NIOCore
import Queue
import SMTP
import Signing

/// A message whose content is coming in: small ones gather in one buffer, large ones go to a file while they arrive.
final class MessageInProgress: MessageSink {
    /// Content up to this is stored with its row.
    static let inlineLimit = 64 << 10
    /// Octets that may wait for the disk until the client is no longer read from: two chunks, so that one gathers while
    /// another is written; with more, hundreds of large messages at once would fill memory and go no faster.
    private static let backlogLimit = 128 << 10
    /// Octets that are written at a time; with one read more (16 KiB) they still fit into a buffer of 128 KiB.
    private static let chunk = 112 << 10
    private static let chunkBuffer = 128 << 10

    let services: Services
    private let place: ClientPlace
    let customer: String
    /// What the customer's account says of filters.
    let ownPolicy: Filtering.Configuration.Policy?
    let loop: any EventLoop
    private let envelope: Envelope
    private let facts: ServerSessionFacts
    let id: MessageID
    let arrived: Timestamp
    private let drained: () -> Void
    let reception: Reception
    /// How the customer was known when it began.
    private let known: String?

    private(set) var header = HeaderScan()
    private(set) var writer: (any ContentWriter)?
    /// Octets handed to the writer, and the last of them written.
    private(set) var written = 0
    private(set) var lastWrite: EventLoopFuture<Void>?
    /// Set where content goes to a file and is signed.
    var sealing: Sealing?
    private var writeFailure: String?
    private var isAbandoned = false

    init(
        reception: Reception, envelope: Envelope, facts: ServerSessionFacts, drained: @escaping () -> Void
    ) {
        self.reception = reception
        services = reception.services
        place = reception.place
        // Strangers get as far as this only with mail for our postmaster.
        customer = reception.customer?.name ?? "postmaster"
        ownPolicy = reception.customer?.filter
        loop = reception.loop
        known = reception.known
        self.envelope = envelope
        self.facts = facts
        self.drained = drained
        id = services.ids.next()
        arrived = services.time.now()
    }

    func writeReceived(to content: inout ByteBuffer) {
        ReceivedField(
            client: place.text, facts: facts, hostname: services.configuration.hostname, id: id, envelope: envelope,
            isCertified: reception.isCertified, time: arrived
        ).write(to: &content)
        header = HeaderScan(start: content.readableBytes)
    }

    private var client: IPAddress { place.address }

    var isSaturated: Bool { (writer?.backlog ?? 0) > Self.backlogLimit }

    func received(_ content: inout ByteBuffer) -> ServerReply? {
        if let refusal = step(&content) {
            abandon()
            return refusal
        }
        return nil
    }

    private func step(_ content: inout ByteBuffer) -> ServerReply? {
        if let writeFailure {
            services.log.notKept(writeFailure, client: client, message: id)
            return .storeFailed
        }
        guard writer == nil else {
            if content.readableBytes >= Self.chunk { append(&content) }
            return nil
        }
        if !header.ended {
            content.withUnsafeReadableBytes { header.advance($0) }
            if header.broken { return .brokenHeader }
            if header.hops > services.configuration.limits.hops { return .tooManyHops }
            let size = header.ended ? header.size : content.readableBytes - header.start
            if size > services.configuration.limits.headerSize { return .headerTooLarge }
            if header.ended, let refusal = refusalOfAuthors(content) { return refusal }
        }
        // Until the header has ended it is not known what it lacks.
        if header.ended, content.readableBytes > Self.inlineLimit {
            prepare(&content)
            append(&content, opening: true)
        }
        return nil
    }

    /// Whom a reader will take for the author must be the customer's as well as the envelope's sender, or a login would
    /// be good for writing in anybody's name.
    private func refusalOfAuthors(_ content: ByteBuffer) -> ServerReply? {
        guard let senders = reception.senders else { return nil }
        guard header.authorFields == 1 else { return .authorUnclear }
        let authors = content.withUnsafeReadableBytes { bytes in
            AuthorList.addresses(UnsafeRawBufferPointer(rebasing: bytes[header.authors]))
        }
        guard let authors else { return .authorUnclear }
        return authors.allSatisfy(senders.covers) ? nil : .authorNotOwn
    }

    func end(
        _ content: inout ByteBuffer, eightBit: Bool, answer: @escaping (ServerMachine.Verdict) -> Void
    ) {
        reception.sent(envelope.recipients.count, at: arrived)
        if writer == nil {
            if !header.ended {
                header.finish()
                if let refusal = refusalOfAuthors(content) { return answer(.refused(refusal)) }
            }
            prepare(&content)
            if content.readableBytes > Self.inlineLimit { append(&content, opening: true) }
        }
        let kept = Kept(eightBit: eightBit, answer: answer)
        guard let writer else {
            if let filter = services.filter { return screen(content, kept, by: filter) }
            return seal(content, kept)
        }
        if content.readableBytes > 0 { append(&content) }
        if let filter = services.filter { return screen(writer, kept, by: filter) }
        seal(writer, kept)
    }

    func finish(_ writer: any ContentWriter, _ kept: Kept) {
        writer.finish().hop(to: loop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let content): commit(content, size: written, kept)
            case .failure(let error):
                notKept("\(error)", kept)
            }
        }
    }

    func notKept(_ reason: String, _ kept: Kept) {
        services.log.notKept(reason, client: client, message: id)
        kept.answer(.refused(.storeFailed))
    }

    func abandon() {
        guard !isAbandoned else { return }
        isAbandoned = true
        writer?.abandon()
        writer = nil
    }

    // MARK: header fields that are missing, or not wanted

    private func prepare(_ content: inout ByteBuffer) {
        if header.hasUnwanted {
            content = HeaderHygiene.cleaned(content, from: header.start, hostname: services.configuration.hostname)
        }
        addMissing(&content)
    }

    /// Puts Date and Message-ID behind our Received where the message has none (RFC 5321 section 6.4, RFC 6409
    /// section 8.2).
    private func addMissing(_ content: inout ByteBuffer) {
        guard !header.hasDate || !header.hasMessageID || header.missing else { return }
        var whole = ByteBuffer()
        whole.reserveCapacity(content.readableBytes + 128 + services.configuration.hostname.utf8.count)
        if var received = content.readSlice(length: header.start) { whole.writeBuffer(&received) }
        if !header.hasDate {
            whole.writeStaticString("Date: ")
            whole.writeDateTime(arrived)
            whole.writeStaticString("\r\n")
        }
        if !header.hasMessageID {
            whole.writeStaticString("Message-ID: <")
            whole.writeString(id.description)
            whole.writeStaticString("@")
            whole.writeString(services.configuration.hostname)
            whole.writeStaticString(">\r\n")
        }
        // Text that begins without a header would otherwise be read as one.
        if header.missing { whole.writeStaticString("\r\n") }
        whole.writeBuffer(&content)
        content = whole
    }

    // MARK: content in a file

    func append(_ content: inout ByteBuffer, opening: Bool = false) {
        if opening {
            openSeal(&content)
            writer = services.contentFiles.write(for: id, on: loop)
        } else {
            sealing?.signature.hash(content)
        }
        guard let writer else { return }
        let bytes = content
        written += bytes.readableBytes
        content = ByteBuffer()
        content.reserveCapacity(Self.chunkBuffer)
        let write = writer.append(bytes).hop(to: loop)
        lastWrite = write
        write.assumeIsolated().whenComplete { [self] result in
            if case .failure(let error) = result, writeFailure == nil { writeFailure = "\(error)" }
            if !isAbandoned, !isSaturated { drained() }
        }
    }

    /// What was written is written again, otherwise.
    func rewrite(_ content: ByteBuffer) {
        var content = content
        written = 0
        sealing = nil
        writer?.restart()
        append(&content)
    }

    // MARK: safe keeping

    /// What is known of a message when its content is complete.
    struct Kept {
        var eightBit: Bool
        var screening: Screening?
        /// Why it is held.
        var hold: String?
        let answer: (ServerMachine.Verdict) -> Void
    }

    func commit(_ content: Content, size: Int, _ kept: Kept) {
        let message = QueuedMessage(
            id: id, customer: customer, sender: envelope.sender, eightBit: kept.eightBit,
            utf8: envelope.smtpUTF8 && header.eightBit, size: size, arrived: arrived,
            expires: arrived + services.configuration.maxAge,
            request: envelope.request.isEmpty ? nil : envelope.request, verdict: kept.screening?.verdict,
            score: kept.screening?.score, content: content)
        let accepted = Accepted(
            message: message, recipients: envelope.recipients, trace: acceptance(size, kept.screening),
            hold: kept.hold.map { Hold(at: arrived, by: "filter", reason: $0) })
        let answer = NIOLoopBound(kept.answer, eventLoop: loop)
        services.queue.commit(accepted) { [loop, id, client, services] result in
            loop.execute {
                switch result {
                case .committed: answer.value(.queued(id))
                case .refused(let reason):
                    services.log.notKept(reason, client: client, message: id)
                    if case .file(let name) = content { services.contentFiles.remove([name]) }
                    answer.value(.refused(.storeFailed))
                }
            }
        }
    }

    func acceptance(_ size: Int, _ screening: Screening? = nil) -> TraceEvent.Acceptance {
        TraceEvent.Acceptance(
            message: id, at: arrived, customer: customer, client: client, helo: facts.hello, tls: facts.tls,
            sender: envelope.sender, recipients: envelope.recipients, size: size, screening: screening, known: known)
    }

    /// What filters are asked about this content, which begins with octets of ours.
    func question(_ content: ByteBuffer, from hostname: String?) -> Question {
        let length = max(0, content.readableBytes - ours)
        var question = Question(
            content: content.getSlice(at: content.readerIndex + ours, length: length) ?? ByteBuffer())
        if place.isKnown { question.client = client.description }
        question.hello = facts.hello
        question.hostname = hostname
        question.user = customer
        question.sender = envelope.sender.description
        question.recipients = envelope.recipients.map(\.description)
        question.queueID = id.description
        question.tls = facts.tls
        return question
    }
}
