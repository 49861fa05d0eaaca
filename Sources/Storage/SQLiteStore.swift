package import Logging
import Mail
package import Queue
import Synchronization

/// The queue's store in one SQLite file of the spool, in WAL mode with `synchronous=FULL`.
///
/// Four connections: one writes (the commit thread's), one reads (the reader thread's), one serves people's questions,
/// one makes checkpoints. Readers and the writer never wait for one another in WAL mode.
package final class SQLiteStore: QueueStore {
    private let spool: Spool
    private let log: Logger
    private let connections = Mutex<Connections?>(nil)

    struct Connections: Sendable {
        let writer: Connection
        let reader: Connection
        let viewer: Connection
        let checkpointer: Checkpointer
    }

    package init(spool: Spool, logger: Logger) {
        self.spool = spool
        log = logger
    }

    package func open() throws -> StoreState {
        try Spool.makePrivate(spool.queuePath)
        try connect()
        return try reader().run { access in
            try access.statement(SQL.state).first {
                StoreState(floor: $0.id(0), ceiling: $0.id(1), delayed: $0.id(2))
            } ?? StoreState(floor: MessageID(value: 0), ceiling: MessageID(value: 0))
        }
    }

    /// Trusts nothing of what was open: a failed fsync leaves pages that look clean and are not on the disk. What the
    /// log holds is moved to the database file, which writes and syncs those pages anew, and the log begins empty.
    package func recover() throws {
        disconnect()
        try connect()
    }

    package func close() throws {
        try connected().checkpointer.truncate()
        disconnect()
    }

    package var isBehind: Bool { connections.withLock { $0 }?.checkpointer.isBehind ?? false }

    package func freeSpace() throws -> Int64 { try spool.freeSpace() }

    private func connect() throws {
        let path = spool.queuePath
        // 32 MiB hold the pages of the largest batch, so that none is written twice.
        let writer = try Connection(path: path, label: "writer", Connection.Setup(writes: true, cache: 32 << 10))
        try Self.check(writer, path: path)
        try Schema.migrate(writer, path: path)
        let reader = try Connection(path: path, label: "reader", Connection.Setup(cache: 8 << 10))
        let viewer = try Connection(path: path, label: "viewer", Connection.Setup(cache: 4 << 10))
        let checkpointer = try Checkpointer(path: path, writer: writer, syncs: spool.syncs, log: log)
        try checkpointer.truncate()
        try LogFile.fill(path + "-wal", octets: Checkpointer.usualSize)
        try checkpointer.start()
        connections.withLock {
            $0 = Connections(writer: writer, reader: reader, viewer: viewer, checkpointer: checkpointer)
        }
    }

    /// What is not durable is no spool: better not to start.
    private static func check(_ writer: Connection, path: String) throws {
        try writer.run { access in
            let mode = try access.text("PRAGMA journal_mode") ?? ""
            let synchronous = try access.integer("PRAGMA synchronous") ?? -1
            guard mode == "wal", synchronous == 2 else {
                throw StoreFailure(
                    .failed,
                    "\(path) is not durable: journal_mode is \(mode), synchronous is \(synchronous), not wal and 2")
            }
        }
    }

    private func disconnect() {
        let open = connections.withLock { connections in
            defer { connections = nil }
            return connections
        }
        guard let open else { return }
        open.checkpointer.stop()
        for connection in [open.viewer, open.reader, open.writer] {
            do {
                try connection.close()
            } catch {
                log.error("connection not closed cleanly", metadata: ["error": "\(error)"])
            }
        }
    }

    private func connected() throws -> Connections {
        guard let open = connections.withLock({ $0 }) else { throw StoreFailure(.failed, "the store is not open") }
        return open
    }

    func reader() throws -> Connection { try connected().reader }

    func viewer() throws -> Connection { try connected().viewer }

    /// What each statement of all connections did since this was last asked.
    func effort() throws -> [String: Connection.Effort] {
        let open = try connected()
        return try [open.writer, open.reader, open.viewer].reduce(into: [:]) { all, connection in
            all.merge(try connection.effort()) { left, right in
                Connection.Effort(
                    runs: left.runs + right.runs, steps: left.steps + right.steps,
                    scanned: left.scanned + right.scanned, sorts: left.sorts + right.sorts)
            }
        }
    }

    /// A row that cannot be read is left alone: it is an operator's to look at, and must not stop all others.
    func unreadable(_ error: Unpacker.Unreadable, _ id: MessageID, _ domain: String = "") {
        log.critical(
            "row cannot be read and is left alone",
            metadata: ["message": "\(id)", "domain": "\(domain)", "error": "\(error)"])
    }

    package func write(_ batch: StoreBatch) throws -> StoreResult {
        let open = try connected()
        return try open.checkpointer.holdingOff {
            try open.writer.run { access in
                try access.transaction { try BatchWriter(access: access, store: self, at: batch.at).write(batch) }
            }
        }
    }
}
