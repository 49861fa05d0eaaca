import Mail
import NIOCore

/// Makes a message of a notice: composed in memory up to the limit of inline content, else written to a file while the
/// original is read from its own. Runs on the notifier's thread, which may block.
struct NoticeContent: Sendable {
    private let settings: NoticeSettings
    private let contents: any ContentFiles

    /// As for what customers send: content above it is a file.
    private static let inlineLimit = 64 << 10
    /// Of the original's header, and of what is read or written at a time.
    private static let headerLimit = 64 << 10
    private static let chunk = 128 << 10

    init(_ settings: NoticeSettings, contents: any ContentFiles) {
        self.settings = settings
        self.contents = contents
    }

    /// - Throws: ``StoreFailure``, or what writing a content file throws. An original that cannot be read is left out:
    ///   the sender is told all the same.
    func make(_ draft: NoticePlan.Draft, of original: QueuedMessage, at now: Timestamp) throws -> Accepted {
        guard returnsMessage(draft.kind, original) else {
            return try make(draft, of: original, at: now, whole: false)
        }
        do {
            return try make(draft, of: original, at: now, whole: true)
        } catch {
            return try make(draft, of: original, at: now, whole: false)
        }
    }

    private func make(
        _ draft: NoticePlan.Draft, of original: QueuedMessage, at now: Timestamp, whole: Bool
    ) throws -> Accepted {
        let notice = notice(draft, of: original, at: now)
        let writer = Writer(id: notice.id, at: now, settings, contents, limit: Self.inlineLimit)
        do {
            if whole {
                try writer.append(notice.opening(.message(eightBit: original.eightBit)))
                try read(original) { piece in
                    try writer.append(piece)
                    return true
                }
            } else {
                try writer.append(headers(of: original, in: notice))
            }
            try writer.append(notice.closing())
            let (content, size) = try writer.finish()
            let message = QueuedMessage(
                id: notice.id, customer: original.customer, sender: .null,
                eightBit: whole && original.eightBit,
                utf8: !draft.to.description.utf8.allSatisfy { $0 < 128 }, size: size, arrived: now,
                expires: now + settings.lifetime, content: content)
            return Accepted(
                message: message, recipients: [draft.to],
                trace: TraceEvent.Acceptance(
                    message: notice.id, at: now, customer: original.customer, client: IPAddress(high: 0, low: 0),
                    helo: settings.hostname, tls: nil, sender: .null, recipients: [draft.to], size: size))
        } catch {
            writer.abandon()
            throw error
        }
    }

    /// Removes the files of notices that are not committed after all.
    func drop(_ made: [Accepted]) {
        contents.remove(made.compactMap(\.message.fileName))
    }

    private func notice(_ draft: NoticePlan.Draft, of original: QueuedMessage, at now: Timestamp) -> Notice {
        let id = settings.ids.next()
        let texts = draft.isUndeliverable ? nil : settings.customerTexts[original.customer]
        return Notice(
            id: id, boundary: "\(id)/\(UInt64.random(in: .min ... .max))", date: now, hostname: settings.hostname,
            to: draft.to,
            about: Notice.About(
                id: original.id, arrived: original.arrived, expires: original.expires, request: original.request),
            kind: draft.kind, isUndeliverable: draft.isUndeliverable, reports: draft.reports,
            texts: texts ?? settings.texts)
    }

    /// The message comes back whole where RET asks for it or leaves it to us, and its size allows; RFC 3461 section 4.3
    /// has that for failures alone. Header fields in UTF-8 (RFC 6532) would need a receiver that takes them.
    private func returnsMessage(_ kind: NoticeKind, _ original: QueuedMessage) -> Bool {
        guard kind == .failure, original.size <= settings.fullMessage, !original.utf8 else { return false }
        switch original.request?.returned {
        case .full: return true
        case .headers: return false
        case nil: return !original.eightBit
        }
    }

    /// The notice up to and with the original's header.
    private func headers(of original: QueuedMessage, in notice: Notice) -> ByteBuffer {
        var start = ByteBuffer()
        try? read(original) { piece in
            var piece = piece
            start.writeBuffer(&piece)
            return start.readableBytes < Self.headerLimit
        }
        let fields = start.headerFields(limit: Self.headerLimit)
        var buffer = notice.opening(.headers(encoded: ByteBuffer.needsEncoding(fields)))
        buffer.writeHeaders(of: fields)
        return buffer
    }

    /// Hands the original out in pieces until it ends or `body` says that it has enough.
    private func read(_ original: QueuedMessage, _ body: (ByteBuffer) throws -> Bool) throws {
        switch original.content {
        case .inline(let buffer): _ = try body(buffer)
        case .file(let name):
            let reader = try contents.read(name, on: settings.loop).wait()
            defer { reader.close() }
            while let piece = try next(reader), try body(piece) {}
        }
    }

    private func next(_ reader: any ContentReader) throws -> ByteBuffer? {
        try settings.loop.flatSubmit { reader.next(Self.chunk) }.wait()
    }

    /// Keeps octets in memory up to a limit, beyond it in a file, and signs them.
    private final class Writer {
        private let id: MessageID
        private let time: Timestamp
        private let signer: (any NoticeSigner)?
        private let contents: any ContentFiles
        private let loop: any EventLoop
        private let limit: Int
        private var buffer = ByteBuffer()
        private var file: (any ContentWriter)?
        /// Of what is in a file, at whose beginning there is room for its fields.
        private var signature: (any NoticeSignature)?
        private var size = 0

        init(
            id: MessageID, at time: Timestamp, _ settings: NoticeSettings, _ contents: any ContentFiles, limit: Int
        ) {
            self.id = id
            self.time = time
            signer = settings.signer
            self.contents = contents
            loop = settings.loop
            self.limit = limit
        }

        func append(_ piece: ByteBuffer) throws {
            buffer.writeImmutableBuffer(piece)
            if file == nil {
                guard buffer.readableBytes > limit else { return }
                try open()
            } else {
                signature?.hash(piece)
            }
            guard let file else { return }
            let bytes = buffer
            buffer = ByteBuffer()
            size += bytes.readableBytes
            try loop.flatSubmit { file.append(bytes) }.wait()
        }

        private func open() throws {
            signature = signer?.begin(buffer, at: time)
            if var whole = signature?.blank {
                whole.writeImmutableBuffer(buffer)
                buffer = whole
            }
            file = try loop.submit { [contents, id, loop] in contents.write(for: id, on: loop) }.wait()
        }

        func finish() throws -> (Content, size: Int) {
            guard let file else {
                let whole = signer?.signed(buffer, at: time) ?? buffer
                return (.inline(whole), whole.readableBytes)
            }
            if let signature {
                let fields = try signature.fields()
                guard fields.readableBytes == signature.blank.readableBytes else {
                    throw StoreFailure(.failed, "its signature has another length than its keys say")
                }
                try loop.flatSubmit { file.overwrite(fields, at: 0) }.wait()
            }
            return (try loop.flatSubmit { file.finish() }.wait(), size)
        }

        func abandon() {
            guard let file else { return }
            loop.execute { file.abandon() }
        }
    }
}
