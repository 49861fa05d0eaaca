package import Mail
package import NIOCore

/// Where content above the inline limit is written while it arrives, and read while it is sent.
///
/// No call blocks an event loop: each does its work on threads of its own and answers on the loop it was given.
package protocol ContentFiles: Sendable {
    /// Starts a file for a message that is being received.
    func write(for id: MessageID, on loop: any EventLoop) -> any ContentWriter

    /// Opens a file for sending; the future fails when it is not there or cannot be read.
    func read(_ name: String, on loop: any EventLoop) -> EventLoopFuture<any ContentReader>

    /// Removes files that no message names any more; a missing one is no error.
    func remove(_ names: [String])

    /// Removes files that a crash left behind; called once, before anything is received. Blocks.
    ///
    /// - Parameter living: which of these messages are in the store.
    func sweep(living: ([MessageID]) throws -> Set<MessageID>) throws
}

extension ContentFiles {
    package func sweep(living: ([MessageID]) throws -> Set<MessageID>) throws {}
}

/// One file being written. Used from the one event loop it was made for.
package protocol ContentWriter: AnyObject, Sendable {
    /// Octets handed over and not yet written; the receiver stops reading from its client above a bound of its own.
    var backlog: Int { get }

    /// Appends in the order of the calls; the future tells when these octets were written.
    func append(_ bytes: ByteBuffer) -> EventLoopFuture<Void>

    /// Puts octets over those that were written at `offset`; it fails, and what comes after it, where they cannot be.
    func overwrite(_ bytes: ByteBuffer, at offset: Int) -> EventLoopFuture<Void>

    /// Forgets what was written: what is appended from now on is the content. Not after ``finish()``.
    func restart()

    /// Writes what is left and makes file and folder durable (fdatasync of both). The content may be committed after
    /// it.
    func finish() -> EventLoopFuture<Content>

    /// Drops the file.
    func abandon()
}

/// One file being read, front to back. Used from the one event loop it was opened for.
package protocol ContentReader: AnyObject, Sendable {
    /// The next octets, at most `limit` (1 or more); nil at the end.
    func next(_ limit: Int) -> EventLoopFuture<ByteBuffer?>

    func close()
}
