import Foundation
import GRDB
import GRDBSQLite
import Mail
import NIOCore
import Queue

/// One connection to a SQLite file, with the statements it keeps prepared.
///
/// GRDB opens, sets up and closes it. The statements that run for every message are bound and stepped through SQLite's
/// own interface: GRDB boxes and copies each argument, which costs more than SQLite itself takes for the row.
final class Connection: @unchecked Sendable {
    // SAFETY: `statements` is touched only inside `queue`, which lets one thread in at a time.
    private let queue: DatabaseQueue
    private var statements: [String: Statement] = [:]

    struct Setup {
        /// One that writes sets the journal mode; the others follow.
        var writes = false
        /// One that only reads changes nothing, not even by closing the file last.
        var readOnly = false
        /// KiB of page cache.
        var cache: Int
        /// How a commit is made durable: `FULL` syncs the log with every commit, `NORMAL` only at checkpoints.
        var synchronous = "FULL"
    }

    init(path: String, label: String, _ setup: Setup) throws {
        var configuration = GRDB.Configuration()
        configuration.label = label
        configuration.foreignKeysEnabled = false
        configuration.readonly = setup.readOnly
        configuration.journalMode = setup.writes ? .wal : .default
        // Connections wait for one another only when the log is started anew or truncated.
        configuration.busyMode = .timeout(5)
        // A transaction that cannot even be rolled back must end in an error, not in a trap.
        configuration.allowsUnsafeTransactions = true
        configuration.maximumReaderCount = 1
        do {
            queue = try storing { try DatabaseQueue(path: path, configuration: configuration) }
            try prepare(setup)
        } catch let failure as StoreFailure {
            throw StoreFailure(failure.kind, "\(path): \(failure)")
        }
    }

    private func prepare(_ setup: Setup) throws {
        try run { access in
            // Debian builds SQLite to overwrite freed pages with zeros: twice the writing.
            try access.execute("PRAGMA secure_delete = OFF")
            try access.execute("PRAGMA temp_store = MEMORY")
            // An I/O error in a mapped page would be a SIGBUS.
            try access.execute("PRAGMA mmap_size = 0")
            try access.execute("PRAGMA cache_size = -\(setup.cache)")
            // Checkpoints are made by their own connection.
            try access.execute("PRAGMA wal_autocheckpoint = 0")
            // GRDB has set NORMAL when it set the journal mode.
            try access.execute("PRAGMA synchronous = \(setup.synchronous)")
        }
    }

    /// Lets the body use the connection; one thread at a time. Errors are ``StoreFailure`` or the body's own.
    func run<Result>(_ body: (Access) throws -> Result) throws -> Result {
        try storing { try queue.writeWithoutTransaction { try body(Access(connection: self, database: $0)) } }
    }

    /// Finalizes the statements and closes; later uses throw.
    func close() throws {
        try storing {
            queue.writeWithoutTransaction { _ in statements.removeAll() }
            try queue.close()
        }
    }

    fileprivate func prepared(_ sql: String, _ database: Database) throws -> Statement {
        if let statement = statements[sql] { return statement }
        let statement = try database.makeStatement(sql: sql)
        statements[sql] = statement
        return statement
    }

    /// What each kept statement did since this was last asked.
    func effort() throws -> [String: Effort] {
        try run { _ in
            statements.mapValues { statement in
                func count(_ what: Int32) -> Int { Int(sqlite3_stmt_status(statement.sqliteStatement, what, 1)) }
                return Effort(
                    runs: count(SQLITE_STMTSTATUS_RUN), steps: count(SQLITE_STMTSTATUS_VM_STEP),
                    scanned: count(SQLITE_STMTSTATUS_FULLSCAN_STEP), sorts: count(SQLITE_STMTSTATUS_SORT))
            }
        }
    }

    /// How often a statement ran, and what SQLite did for it.
    struct Effort {
        var runs: Int
        /// Instructions of SQLite's machine.
        var steps: Int
        /// Rows that were stepped over because no index led to those wanted.
        var scanned: Int
        var sorts: Int
    }
}

/// The connection while it is in use.
struct Access {
    fileprivate let connection: Connection
    fileprivate let database: Database

    /// For what GRDB does not offer.
    var handle: OpaquePointer? { database.sqliteConnection }

    func execute(_ sql: String) throws { try database.execute(sql: sql) }

    func integer(_ sql: String) throws -> Int64? { try Int64.fetchOne(database, sql: sql) }

    /// Which of its versions the file is at, 0 for a new one.
    ///
    /// - Throws: ``StoreFailure`` for a version that is not known here.
    func schema(of path: String, upTo known: Int64) throws -> Int64 {
        let found = try integer("PRAGMA user_version") ?? 0
        guard (0...known).contains(found) else {
            throw StoreFailure(
                .failed, "\(path) was written by a later version of figaro (schema \(found), this one knows \(known))")
        }
        return found
    }

    /// Brings the file from one version to the last of these; each step is a transaction.
    func migrate(from version: Int64, by steps: [[String]]) throws {
        for (number, step) in steps.enumerated().dropFirst(Int(version)) {
            try transaction {
                for sql in step { try execute(sql) }
                try execute("PRAGMA user_version = \(number + 1)")
            }
        }
    }

    func text(_ sql: String) throws -> String? { try String.fetchOne(database, sql: sql) }

    /// Lets SQL call the body with a blob.
    func define(_ name: String, _ body: @escaping @Sendable (UnsafeRawBufferPointer) -> String) {
        database.add(
            function: DatabaseFunction(name, argumentCount: 1, pure: true) { values in
                Data.fromDatabaseValue(values[0])?.withUnsafeBytes(body)
            })
    }

    /// A kept statement, ready to be bound.
    func statement(_ sql: some KeptStatement) throws -> Prepared {
        let statement = try connection.prepared(sql.rawValue, database)
        return Prepared(pointer: statement.sqliteStatement, owner: statement, handle: handle)
    }

    /// Runs the body in one transaction.
    func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        try statement(TransactionSQL.begin).run()
        do {
            let result = try body()
            try statement(TransactionSQL.commit).run()
            return result
        } catch {
            if sqlite3_get_autocommit(database.sqliteConnection) == 0 { try? statement(TransactionSQL.rollback).run() }
            throw error
        }
    }

    /// Rows that the last statement of this connection changed.
    var changes: Int { Int(sqlite3_changes(database.sqliteConnection)) }
}

/// A prepared statement. Parameters count from 1, columns from 0.
struct Prepared {
    fileprivate let pointer: OpaquePointer
    fileprivate let owner: Statement
    fileprivate let handle: OpaquePointer?

    /// SQLite copies the value before the call returns.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    @discardableResult
    func bind(_ index: Int32, _ value: Int64) -> Prepared {
        sqlite3_bind_int64(pointer, index, value)
        return self
    }

    @discardableResult
    func bind(_ index: Int32, _ value: MessageID) -> Prepared { bind(index, Int64(bitPattern: value.value)) }

    @discardableResult
    func bind(_ index: Int32, _ value: Timestamp) -> Prepared { bind(index, value.milliseconds) }

    @discardableResult
    func bind(_ index: Int32, _ value: String) -> Prepared {
        var value = value
        _ = value.withUTF8 { utf8 in
            // An empty string has no address, and none would mean NULL.
            utf8.withMemoryRebound(to: CChar.self) { text in
                if let base = text.baseAddress {
                    sqlite3_bind_text(pointer, index, base, Int32(clamping: text.count), Self.transient)
                } else {
                    sqlite3_bind_text(pointer, index, "", 0, Self.transient)
                }
            }
        }
        return self
    }

    @discardableResult
    func bind(_ index: Int32, _ value: [UInt8]) -> Prepared {
        _ = value.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress {
                sqlite3_bind_blob(pointer, index, base, Int32(clamping: bytes.count), Self.transient)
            } else {
                sqlite3_bind_zeroblob(pointer, index, 0)
            }
        }
        return self
    }

    @discardableResult
    func bindNull(_ index: Int32) -> Prepared {
        sqlite3_bind_null(pointer, index)
        return self
    }

    /// Binds without copying and runs: for content, which is the bulk of what is written.
    func run(binding index: Int32, _ bytes: UnsafeRawBufferPointer) throws {
        if let base = bytes.baseAddress {
            sqlite3_bind_blob(pointer, index, base, Int32(clamping: bytes.count), nil)
        } else {
            sqlite3_bind_zeroblob(pointer, index, 0)
        }
        defer { sqlite3_bind_null(pointer, index) }
        try run()
    }

    /// Runs to the end.
    func run() throws {
        while try step() {}
        // The error of a step is reported by it; a reset repeats it.
        sqlite3_reset(pointer)
    }

    /// Calls the body for each row, until it returns false.
    func rows(_ body: (Prepared) throws -> Bool) throws {
        defer { sqlite3_reset(pointer) }
        while try step() {
            if try !body(self) { return }
        }
    }

    /// What the body makes of the first row; nil when there is none.
    func first<Result>(_ body: (Prepared) throws -> Result) throws -> Result? {
        defer { sqlite3_reset(pointer) }
        return try step() ? try body(self) : nil
    }

    /// - Returns: false at the end.
    private func step() throws -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let text = String(cString: sqlite3_errmsg(handle))
            sqlite3_reset(pointer)
            throw StoreFailure(code: code, "SQLite error \(code): \(text)")
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(pointer, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(pointer, column) }

    func id(_ column: Int32) -> MessageID { MessageID(value: UInt64(bitPattern: integer(column))) }

    func time(_ column: Int32) -> Timestamp { Timestamp(milliseconds: integer(column)) }

    func text(_ column: Int32) -> String {
        // The text is asked for before its length: that order keeps the pointer valid.
        guard let text = sqlite3_column_text(pointer, column) else { return "" }
        let length = Int(sqlite3_column_bytes(pointer, column))
        return String(decoding: UnsafeBufferPointer(start: text, count: length), as: UTF8.self)
    }

    /// Whether a column has just this text; nothing is copied.
    func isText(_ column: Int32, _ text: String) -> Bool {
        guard let found = sqlite3_column_text(pointer, column) else { return false }
        let length = Int(sqlite3_column_bytes(pointer, column))
        return text.utf8.elementsEqual(UnsafeBufferPointer(start: found, count: length))
    }

    /// Valid until the next step.
    func blob(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(pointer, column)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(pointer, column)))
    }

    func buffer(_ column: Int32) -> ByteBuffer { ByteBuffer(bytes: blob(column)) }

    func unpacker(_ column: Int32) -> Unpacker { Unpacker(blob(column)) }
}

extension StoreFailure {
    init(code: Int32, _ text: String) {
        // The low octet is the primary code.
        self.init(code & 0xFF == SQLITE_FULL ? .diskFull : .failed, text)
    }
}

/// Turns GRDB's errors into ours: none of its types leaves Storage.
func storing<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as DatabaseError {
        throw StoreFailure(code: error.extendedResultCode.rawValue, "\(error)")
    }
}
