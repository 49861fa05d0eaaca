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
    private let syncs: SyncFigures
    private let writing: FileThreads
    private let reading: FileThreads
    private let names: FolderSync
    private let log: Logger

    /// - Parameters:
    ///   - writing: threads that write, sync and remove; SQLite's are others. Most of their time they wait for a sync,
    ///     and a disk serves many at a time as quickly as one.
    ///   - reading: threads that read, which no sync holds up.
    package init(spool: Spool, writing: Int = 32, reading: Int = 2, logger: Logger) throws {
        path = spool.contentPath
        let syncs = spool.syncs
        self.syncs = syncs
        self.writing = try FileThreads(count: writing)
        self.reading = try FileThreads(count: reading)
        names = try FolderSync(path: path) { descriptor in
            syncs.add(.folder)
            return fsync(descriptor)
        }
        log = logger
    }

    /// Ends the threads after what they were given. Blocks.
    package func stop() {
        writing.stop()
        names.stop()
        reading.stop()
    }

    package func write(for id: MessageID, on loop: any EventLoop) -> any ContentWriter {
        let file = ContentFile(path: "\(path)/\(id)", syncs: syncs)
        return FolderWriter(file: file, name: "\(id)", threads: writing, names: names, loop: loop)
    }

    package func read(_ name: String, on loop: any EventLoop) -> EventLoopFuture<any ContentReader> {
        let promise = loop.makePromise(of: (any ContentReader).self)
        guard let id = MessageID(name) else {
            promise.fail(StoreFailure(.failed, "\(name) is not the name of a content file"))
            return promise.futureResult
        }
        let file = ContentFile(path: "\(path)/\(id)", syncs: syncs)
        let lane = reading.nextLane()
        let reader = FolderReader(file: file, lane: lane, threads: reading, loop: loop)
        reading.run(lane) {
            promise.completeWith(
                Result {
                    try file.openForReading()
                    return reader
                })
        }
        return promise.futureResult
    }

    package func remove(_ names: [String]) {
        let ids = names.compactMap { MessageID($0) }
        writing.run(writing.nextLane()) { [path, log] in
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
    private let lane: Int
    private let threads: FileThreads
    private let names: FolderSync
    private let failures: Int
    private let loop: any EventLoop

    init(file: ContentFile, name: String, threads: FileThreads, names: FolderSync, loop: any EventLoop) {
        self.file = file
        self.name = name
        self.threads = threads
        self.names = names
        self.loop = loop
        lane = threads.nextLane()
        failures = names.failures
    }

    var backlog: Int { file.backlog }

    func append(_ bytes: ByteBuffer) -> EventLoopFuture<Void> {
        file.expect(bytes.readableBytes)
        let promise = loop.makePromise(of: Void.self)
        threads.run(lane) { [file] in promise.completeWith(Result { try file.append(bytes) }) }
        return promise.futureResult
    }

    func overwrite(_ bytes: ByteBuffer, at offset: Int) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        threads.run(lane) { [file] in promise.completeWith(Result { try file.overwrite(bytes, at: offset) }) }
        return promise.futureResult
    }

    func restart() {
        threads.run(lane) { [file] in file.restart() }
    }

    func finish() -> EventLoopFuture<Content> {
        let promise = loop.makePromise(of: Content.self)
        threads.run(lane) { [file, name, names, failures] in
            do {
                try file.sync()
            } catch {
                return promise.fail(error)
            }
            names.sync(since: failures) { result in
                promise.completeWith(
                    result.flatMap {
                        Result {
                            try file.keep()
                            return .file(name: name)
                        }
                    })
            }
        }
        return promise.futureResult
    }

    func abandon() {
        threads.run(lane) { [file] in file.abandon() }
    }
}

/// Reads one file, front to back.
final class FolderReader: ContentReader {
    private let file: ContentFile
    private let lane: Int
    private let threads: FileThreads
    private let loop: any EventLoop

    init(file: ContentFile, lane: Int, threads: FileThreads, loop: any EventLoop) {
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
