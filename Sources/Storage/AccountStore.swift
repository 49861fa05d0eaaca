package import Mail
import Queue

/// Keeps customers' accounts: `accounts.sqlite` of the spool.
///
/// What a record says is its owner's business. Unlike what was learned about receivers this is truth that nobody can
/// learn again: each change is synced before it counts, and a file that cannot be read is an error, never begun anew.
/// All of it blocks.
package final class AccountStore: Sendable {
    let connection: Connection
    private let path: String

    package struct Row: Sendable, Hashable {
        package var name: String
        package var record: String
        package var changed: Timestamp

        package init(name: String, record: String, changed: Timestamp) {
            self.name = name
            self.record = record
            self.changed = changed
        }
    }

    /// Opens the file, or makes it.
    ///
    /// - Throws: ``StoreFailure`` when it cannot be used, or a later version of figaro wrote it.
    package init(spool: Spool) throws {
        path = spool.accountsPath
        try Spool.makePrivate(path)
        connection = try Connection(path: path, label: "accounts", Connection.Setup(writes: true, cache: 1 << 10))
        let path = path
        try connection.run { access in
            let found = try access.schema(of: path, upTo: Int64(AccountSchema.steps.count))
            try access.migrate(from: found, by: AccountSchema.steps)
            try access.execute("PRAGMA wal_autocheckpoint = \(AccountSchema.checkpointPages)")
        }
    }

    /// By name.
    package func all() throws -> [Row] {
        try connection.run { access in
            var rows: [Row] = []
            try access.statement(AccountSQL.all).rows { row in
                rows.append(Row(name: row.text(0), record: row.text(1), changed: row.time(2)))
                return true
            }
            return rows
        }
    }

    /// All of it or nothing, and on disk when this returns.
    ///
    /// - Parameter changes: records by name; nil: the account is removed.
    /// - Throws: ``StoreFailure``.
    package func write(_ changes: [String: String?], at now: Timestamp) throws {
        try connection.run { access in
            try access.transaction {
                for (name, record) in changes {
                    if let record {
                        try access.statement(AccountSQL.keep).bind(1, name).bind(2, record).bind(3, now).run()
                    } else {
                        try access.statement(AccountSQL.remove).bind(1, name).run()
                    }
                }
            }
        }
    }

    /// What each customer usually sends, in its owner's words.
    package func habits() throws -> [String: String] { try records(.habits) }

    package func keep(habits: [String: String]) throws { try keep(habits, by: .keepHabit) }

    /// What each customer has used of its limits, in its owner's words.
    package func counts() throws -> [String: String] { try records(.counts) }

    package func keep(counts: [String: String]) throws { try keep(counts, by: .keepCount) }

    /// - Parameter statement: reads names and records.
    private func records(_ statement: AccountSQL) throws -> [String: String] {
        try connection.run { access in
            var records: [String: String] = [:]
            try access.statement(statement).rows { row in
                records[row.text(0)] = row.text(1)
                return true
            }
            return records
        }
    }

    /// - Parameter statement: writes a name and its record.
    private func keep(_ records: [String: String], by statement: AccountSQL) throws {
        guard !records.isEmpty else { return }
        try connection.run { access in
            try access.transaction {
                for (name, record) in records {
                    try access.statement(statement).bind(1, name).bind(2, record).run()
                }
            }
        }
    }

    package func close() { try? connection.close() }
}
