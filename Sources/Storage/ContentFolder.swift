import Glibc
package import Logging
package import Mail
package import NIOCore
package import Queue

/// Content above the inline limit: one file a message in the spool's content folder, named by the message's id.
///
/// A file has its final name from the start: whether it counts is decided by the message's row, which is committed
/// after the file is durable. A crash leaves files without a row; they are swept at the next start.
package final class ContentFolder: ContentFiles {
    private let path: String
    private let threads: FileThreads
    private let log: Logger

    /// - Parameter threads: threads that write, sync and read; SQLite's are others. One can wait for an fsync while the
    ///   other copies.
    package init(spool: Spool, threads: Int = 2, logger: Logger) throws {
        path = spool.contentPath
        self.threads = try FileThreads(count: threads)
        log = logger
    }

    /// Ends the threads after what they were given. Blocks.
    package func stop() {
        threads.stop()
    }

    package func write(for id: MessageID, on loop: any EventLoop) -> any ContentWriter {
        let file = ContentFile(path: "\(path)/\(id)", folder: path)
        return FolderWriter(file: file, name: "\(id)", lane: lane(id), threads: threads, loop: loop)
    }

    package func read(_ name: String, on loop: any EventLoop) -> EventLoopFuture<any ContentReader> {
        let promise = loop.makePromise(of: (any ContentReader).self)
        guard let id = MessageID(name) else {
            promise.fail(StoreFailure(.failed, "\(name) is not the name of a content file"))
            return promise.futureResult
        }
        let file = ContentFile(path: "\(path)/\(id)", folder: path)
        let reader = FolderReader(file: file, lane: lane(id), threads: threads, loop: loop)
        threads.run(lane(id)) {
            promise.completeWith(
                Result {
                    try file.openForReading()
                    return reader
                })
        }
        return promise.futureResult
    }

    /// Ids of one millisecond differ above bit 10.
    private func lane(_ id: MessageID) -> UInt64 { id.value >> 10 }

    package func remove(_ names: [String]) {
        let ids = names.compactMap { MessageID($0) }
        threads.run(0) { [path, log] in
            for id in ids {
                guard unlink("\(path)/\(id)") != 0, errno != ENOENT else { continue }
                log.error(
                    "cannot remove content",
                    metadata: ["message": "\(id)", "error": "\(String(cString: strerror(errno)))"])
            }
        }
    }

    /// Names that are no message's are left alone: somebody else put them there.
    package func sweep(living: ([MessageID]) throws -> Set<MessageID>) throws {
        guard let folder = opendir(path) else { throw StoreFailure(errno: errno, "cannot read \(path)") }
        defer { closedir(folder) }
        var ids: [MessageID] = []
        var count = 0
        func removeOrphans() throws {
            let living = try living(ids)
            for id in ids where !living.contains(id) {
                guard unlink("\(path)/\(id)") == 0 else {
                    throw StoreFailure(errno: errno, "cannot remove \(path)/\(id)")
                }
                count += 1
            }
            ids.removeAll(keepingCapacity: true)
        }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let id = MessageID(name) else { continue }
            ids.append(id)
            if ids.count == 500 { try removeOrphans() }
        }
        try removeOrphans()
        if count > 0 { log.notice("removed content that a crash left behind", metadata: ["count": "\(count)"]) }
    }
}

/// Writes one file. The order of the calls is kept because they all go to one thread.
final class FolderWriter: ContentWriter {
    private let file: ContentFile
    private let name: String
    private let lane: UInt64
    private let threads: FileThreads
    private let loop: any EventLoop

    init(file: ContentFile, name: String, lane: UInt64, threads: FileThreads, loop: any EventLoop) {
        self.file = file
        self.name = name
        self.lane = lane
        self.threads = threads
        self.loop = loop
    }

    var backlog: Int { file.backlog }

    func append(_ bytes: ByteBuffer) -> EventLoopFuture<Void> {
        file.expect(bytes.readableBytes)
        return run { [file] in try file.append(bytes) }
    }

    func finish() -> EventLoopFuture<Content> {
        run { [file, name] in
            try file.finish()
            return .file(name: name)
        }
    }

    func abandon() {
        threads.run(lane) { [file] in file.abandon() }
    }

    private func run<Value: Sendable>(_ job: @escaping @Sendable () throws -> Value) -> EventLoopFuture<Value> {
        let promise = loop.makePromise(of: Value.self)
        threads.run(lane) { promise.completeWith(Result { try job() }) }
        return promise.futureResult
    }
}

/// Reads one file, front to back.
final class FolderReader: ContentReader {
    private let file: ContentFile
    private let lane: UInt64
    private let threads: FileThreads
    private let loop: any EventLoop

    init(file: ContentFile, lane: UInt64, threads: FileThreads, loop: any EventLoop) {
        self.file = file
        self.lane = lane
        self.threads = threads
        self.loop = loop
    }

    func next(_ limit: Int) -> EventLoopFuture<ByteBuffer?> {
        let promise = loop.makePromise(of: ByteBuffer?.self)
        threads.run(lane) { [file] in promise.completeWith(Result { try file.next(limit) }) }
        return promise.futureResult
    }

    func close() {
        threads.run(lane) { [file] in file.close() }
    }
}
