import NIOCore

/// Content on its way from a reader to the connection: one block in hand, the next one read when the connection has
/// taken it. Lives on the connection's loop, as long as one transaction.
final class ContentStream: @unchecked Sendable {
    // SAFETY: used on the connection's event loop only; the reader answers there.

    /// Large enough that the cost of a block is its octets, small enough that thousands of sessions may hold one.
    private static let blockSize = 128 * 1_024

    private let size: Int
    private let channel: any Channel
    private var handler: ClientHandler?
    private var reader: (any ClientContentReader)?
    private var stuffing = DotStuffing()
    private var taken = 0
    private var pumping = false
    /// Waits for the reader, not for the host.
    private(set) var isReading = false

    init(size: Int, channel: any Channel, handler: ClientHandler) {
        self.size = size
        self.channel = channel
        self.handler = handler
    }

    func start(_ opening: EventLoopFuture<any ClientContentReader>) {
        isReading = true
        opening.whenComplete { [self] result in
            isReading = false
            switch result {
            case .success(let reader):
                guard handler != nil else { return reader.close() }
                self.reader = reader
                pump()
            case .failure(let error):
                handler?.contentFailed("content cannot be read: \(error)")
            }
        }
    }

    /// Goes on while the connection takes more.
    func pump() {
        guard !pumping else { return }
        pumping = true
        defer { pumping = false }
        // A loop, not a recursion: a reader that has everything at hand answers within the call.
        while handler != nil, let reader, !isReading, channel.isWritable {
            isReading = true
            reader.next(Self.blockSize).whenComplete { [self] result in
                isReading = false
                took(result)
                pump()
            }
        }
    }

    func stop() {
        handler = nil
        if !isReading {
            reader?.close()
            reader = nil
        }
    }

    private func took(_ result: Result<ByteBuffer?, any Error>) {
        guard let handler else { return stop() }
        switch result {
        case .success(.some(let block)) where block.readableBytes <= size - taken:
            taken += block.readableBytes
            handler.writeBlock(stuffing.stuff(block))
        case .success(.none) where taken == size:
            reader?.close()
            reader = nil
            handler.writeEnding(stuffing.ending)
        case .success(let block):
            let found = taken + (block?.readableBytes ?? 0)
            handler.contentFailed("content has \(found) octets where \(size) were kept")
        case .failure(let error):
            handler.contentFailed("content cannot be read: \(error)")
        }
    }
}
