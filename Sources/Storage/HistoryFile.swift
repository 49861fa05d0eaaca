import Glibc
import Logging
import Mail
import Queue
import Synchronization

/// The SQLite file of the history: rows of packed events, keyed by message and a sequence that only grows:
/// milliseconds, so that it need not be read at a start.
final class HistoryFile: Sendable {
    private let path: String
    private let writer: Connection
    private let reader: Connection
    private let time: any TimeSource
    private let sequence = Mutex<Int64>(0)

    private static let schema = """
        CREATE TABLE IF NOT EXISTS event (
            message INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (message, sequence)
        ) WITHOUT ROWID
        """
    private static let version: Int64 = 1
    /// 64 MiB of log at most.
    private static let checkpointPages = 4_096
    /// Rows that one trim removes: some 10 ms, so that events do not pile up meanwhile.
    private static let trimmed: Int64 = 5_000

    /// Opens the file; one that cannot be used is renamed and begun anew.
    static func open(_ path: String, time: any TimeSource, log: Logger) throws -> HistoryFile {
        do {
            return try HistoryFile(path, time: time)
        } catch {
            log.error("history is set aside and begun anew", metadata: ["error": "\(error)"])
            for end in ["-wal", "-shm"] { unlink(path + end) }
            guard rename(path, path + ".unreadable") == 0 else { throw error }
            return try HistoryFile(path, time: time)
        }
    }

    private init(_ path: String, time: any TimeSource) throws {
        self.path = path
        try Spool.makePrivate(path)
        let writer = try Connection(
            path: path, label: "history", Connection.Setup(writes: true, cache: 8 << 10, synchronous: "NORMAL"))
        try writer.run { access in
            let found = try access.integer("PRAGMA user_version") ?? 0
            guard found <= Self.version else {
                throw StoreFailure(.failed, "\(path) was written by a later version of figaro (schema \(found))")
            }
            try access.execute(Self.schema)
            try access.execute("PRAGMA user_version = \(Self.version)")
            try access.execute("PRAGMA wal_autocheckpoint = \(Self.checkpointPages)")
        }
        self.writer = writer
        reader = try Connection(path: path, label: "trace", Connection.Setup(cache: 2 << 10, synchronous: "NORMAL"))
        self.time = time
    }

    func close() {
        try? reader.close()
        try? writer.close()
    }

    func append(_ events: [TraceEvent]) throws {
        let now = time.now().milliseconds
        let number = sequence.withLock { sequence in
            sequence = max(sequence + 1, now)
            return sequence
        }
        let rows = Dictionary(grouping: events, by: \.message).sorted { $0.key < $1.key }
        try writer.run { access in
            try access.transaction {
                let insert = try access.statement(HistorySQL.insert)
                var packer = Packer()
                for (message, events) in rows {
                    packer.clear()
                    packer.events(events)
                    try insert.bind(1, message).bind(2, number).bind(3, packer.bytes).run()
                }
            }
        }
    }

    func events(of message: MessageID) throws -> [TraceEvent] {
        try reader.run { access in
            var events: [TraceEvent] = []
            try access.statement(HistorySQL.events).bind(1, message).rows { row in
                var unpacker = row.unpacker(0)
                events.append(contentsOf: try unpacker.events(of: message))
                return true
            }
            return events
        }
    }

    /// Removes the oldest events: those of messages accepted before a time, and more where the file is too large.
    ///
    /// - Returns: whether there is more to remove.
    func trim(before: Timestamp, above size: Int64) throws -> Bool {
        try writer.run { access in
            let pages = try access.integer("PRAGMA page_count") ?? 0
            let free = try access.integer("PRAGMA freelist_count") ?? 0
            let octets = (pages - free) * (try access.integer("PRAGMA page_size") ?? 0)
            let oldest = try access.statement(HistorySQL.first).first { $0.id(0) }
            guard let oldest, octets > size || oldest.accepted < before else { return false }
            let limit = octets > size ? MessageID(value: UInt64(Int64.max)) : MessageID(acceptedAt: before)
            try access.statement(HistorySQL.trim).bind(1, limit).bind(2, Self.trimmed).run()
            return true
        }
    }
}

/// Every statement on `history.sqlite`. None may scan or sort.
enum HistorySQL: String, KeptStatement {
    case insert = "INSERT OR REPLACE INTO event (message, sequence, body) VALUES (?, ?, ?)"
    case events = "SELECT body FROM event WHERE message = ? ORDER BY sequence"
    case trim = """
        DELETE FROM event WHERE message < ?1 AND message <= (
            SELECT max(message) FROM (SELECT message FROM event WHERE message >= 0 ORDER BY message LIMIT ?2))
        """
    case first = "SELECT message FROM event WHERE message >= 0 ORDER BY message LIMIT 1"
}

extension MessageID {
    /// The lowest id of a message accepted then.
    fileprivate init(acceptedAt time: Timestamp) {
        let since = max(0, time.milliseconds - MessageID(value: 0).accepted.milliseconds)
        self.init(value: UInt64(since) << 21)
    }
}
