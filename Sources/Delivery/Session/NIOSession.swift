import DNS
import Mail
import NIOCore
import Queue
import SMTP

/// One connection to a host, as its owner sees it.
final class NIOSession: Session, ClientDelegate, @unchecked Sendable {
    // SAFETY: `handler`, `slot`, `bound` and `gone` are touched on the event loop of `home` only.
    let id: SessionID
    private let home: SessionLoop
    private let owner: any SessionOwner
    private let contentFiles: any ContentFiles
    var handler: ClientHandler?
    /// Where it stands in the list of `home`.
    var slot: Int?
    /// The source was bound, so that what fails from here on is not its fault.
    var bound = false
    private var gone = false

    init(id: SessionID, home: SessionLoop, owner: any SessionOwner, contentFiles: any ContentFiles) {
        self.id = id
        self.home = home
        self.owner = owner
        self.contentFiles = contentFiles
    }

    func send(_ transaction: Transaction) {
        guard home.loop.inEventLoop else {
            home.loop.execute { self.begin(transaction) }
            return
        }
        begin(transaction)
    }

    func close() {
        guard home.loop.inEventLoop else {
            home.loop.execute { self.handler?.close() }
            return
        }
        handler?.close()
    }

    private func begin(_ transaction: Transaction) {
        guard !gone, let handler, handler.isIdle else {
            let answer = PhaseAnswer(phase: .mail, answer: .trouble(.connection, "the session had gone"))
            let answers = Array(repeating: answer, count: transaction.recipients.count)
            let result = TransactionResult(answers: answers, reusable: false)
            home.loop.execute { self.owner.finished(self, result: result) }
            return
        }
        let message = transaction.message
        var envelope = ClientEnvelope(
            sender: message.sender, recipients: transaction.recipients, size: message.size,
            eightBit: message.eightBit, utf8: message.utf8, request: message.request, content: content(message))
        envelope.eightBitAsIs = transaction.eightBitAsIs
        envelope.aLabels = { DomainName($0)?.text }
        handler.send(envelope)
    }

    private func content(_ message: QueuedMessage) -> ClientContent {
        switch message.content {
        case .inline(let bytes):
            .inline(bytes)
        case .file(let name):
            .stream { [contentFiles] loop in
                contentFiles.read(name, on: loop).map { FileContent($0) }
            }
        }
    }

    /// It could not be connected; nothing else is reported after it.
    func failed(_ answer: Answer) {
        guard leave() else { return }
        owner.failed(id, with: PhaseAnswer(phase: .connect, answer: answer))
    }

    // MARK: Reports of the handler

    func clientOpened(tls: String?, features: HostFeatures) {
        let size = features.size.flatMap { $0 > 0 ? $0 : nil }
        let offers = HostOffers(utf8: features.utf8, eightBit: features.eightBit, size: size)
        owner.opened(self, facts: SessionFacts(tls: tls, offers: offers, notices: features.notices))
    }

    func clientFailed(_ answer: PhaseAnswer) {
        guard leave() else { return }
        owner.failed(id, with: answer)
    }

    func clientFinished(_ answers: [PhaseAnswer], reusable: Bool) {
        if !reusable, !leave() { return }
        owner.finished(self, result: TransactionResult(answers: answers, reusable: reusable))
    }

    func clientClosed() {
        guard leave() else { return }
        owner.closed(id)
    }

    private func leave() -> Bool {
        guard !gone else { return false }
        gone = true
        return true
    }

    /// The connection is closed for good.
    func ended() {
        home.remove(self)
        handler = nil
    }
}

/// A content file in the form that the client reads.
private final class FileContent: ClientContentReader {
    private let reader: any ContentReader

    init(_ reader: any ContentReader) {
        self.reader = reader
    }

    func next(_ limit: Int) -> EventLoopFuture<ByteBuffer?> { reader.next(limit) }

    func close() { reader.close() }
}
