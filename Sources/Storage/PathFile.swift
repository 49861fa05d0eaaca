import Logging
import Mail
import Queue

/// The SQLite file of what was learned about ways to receivers.
final class PathFile: Sendable {
    private let connection: Connection

    /// Rows that one step of a trim removes: some 10 ms of it.
    private static let trimmed: Int64 = 5_000

    /// Opens the file; one that cannot be used, or of which a row cannot be read, is renamed and begun anew.
    ///
    /// - Parameters:
    ///   - limit: rows that are kept at most; those that would be forgotten first go.
    ///   - now: what expires before it is forgotten.
    /// - Returns: the file and its rows.
    static func open(
        _ path: String, limit: Int, at now: Timestamp, log: Logger
    ) throws -> (file: PathFile, rows: [PathStore.Row]) {
        try HintFile.open(path, "what was learned about receivers is", log: log) {
            let file = try PathFile(path)
            while try file.trim(limit: limit, at: now) {}
            return (file, try file.rows())
        }
    }

    private init(_ path: String) throws {
        try Spool.makePrivate(path)
        connection = try Connection(
            path: path, label: "paths", Connection.Setup(writes: true, cache: 2 << 10, synchronous: "NORMAL"))
        try connection.run { access in
            _ = try access.schema(of: path, upTo: PathSchema.version)
            try access.transaction {
                for statement in PathSchema.statements { try access.execute(statement) }
                try access.execute("PRAGMA user_version = \(PathSchema.version)")
            }
            try access.execute("PRAGMA wal_autocheckpoint = \(PathSchema.checkpointPages)")
        }
    }

    private func rows() throws -> [PathStore.Row] {
        try connection.run { access in
            var rows: [PathStore.Row] = []
            try access.statement(PathSQL.all).rows { row in
                guard let kind = UInt8(exactly: row.integer(1)) else {
                    throw StoreFailure(.failed, "a row is of kind \(row.integer(1))")
                }
                let key = PathStore.Key(receiver: row.text(0), kind: kind, name: row.text(2))
                rows.append(PathStore.Row(key: key, value: Array(row.blob(3)), expires: row.time(4)))
                return true
            }
            return rows
        }
    }

    /// In one transaction; nil: forgotten.
    func write(_ changes: [PathStore.Key: PathStore.Row?]) throws {
        try connection.run { access in
            try access.transaction {
                let keep = try access.statement(PathSQL.keep)
                let forget = try access.statement(PathSQL.forget)
                for (key, row) in changes {
                    if let row {
                        try keep.bind(1, key.receiver).bind(2, Int64(key.kind)).bind(3, key.name).bind(4, row.value)
                            .bind(5, row.expires).run()
                    } else {
                        try forget.bind(1, key.receiver).bind(2, Int64(key.kind)).bind(3, key.name).run()
                    }
                }
            }
        }
    }

    /// Removes some of what has expired, and of what is too much.
    ///
    /// - Returns: whether there may be more of it.
    func trim(limit: Int, at now: Timestamp) throws -> Bool {
        try connection.run { access in
            try access.transaction {
                try access.statement(PathSQL.expire).bind(1, now).bind(2, Self.trimmed).run()
                var removed = access.changes
                let excess = (try access.statement(PathSQL.count).first { $0.integer(0) } ?? 0) - Int64(limit)
                if excess > 0 {
                    let most = Timestamp(milliseconds: .max)
                    try access.statement(PathSQL.expire).bind(1, most).bind(2, min(excess, Self.trimmed)).run()
                    removed += access.changes
                }
                return removed >= Self.trimmed
            }
        }
    }

    func close() { try? connection.close() }
}
