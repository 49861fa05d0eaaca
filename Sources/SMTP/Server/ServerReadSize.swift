package import NIOCore

/// How much is read from a client at a time: little between messages, so that an idle session holds next to nothing,
/// and a message of a few KB in one read. The buffer is used again and again.
///
/// Used on the channel's event loop only.
package final class ServerReadSize: RecvByteBufferAllocator, @unchecked Sendable {
    // SAFETY: `isContent` is touched on the channel's event loop only.
    var isContent = false

    private static let commands = 1 << 10
    private static let content = 16 << 10

    package init() {}

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        allocator.buffer(capacity: isContent ? Self.content : Self.commands)
    }

    package func record(actualReadBytes: Int) -> Bool { false }

    package func nextBufferSize() -> Int? { isContent ? Self.content : Self.commands }
}
