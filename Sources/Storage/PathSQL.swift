/// The table of `paths.sqlite`.
enum PathSchema {
    static let version: Int64 = 1
    /// 4 MiB of log: changes are small and overwrite one another.
    static let checkpointPages = 1_024

    static let statements = [
        """
        CREATE TABLE IF NOT EXISTS memory (
            receiver TEXT NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
            expires INTEGER NOT NULL, PRIMARY KEY (receiver, kind, name)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX IF NOT EXISTS memory_expires ON memory (expires)",
    ]
}

/// Every statement on `paths.sqlite`. `all` and `count` read the table, on a thread that nobody waits for.
enum PathSQL: String, KeptStatement {
    case all = "SELECT receiver, kind, name, value, expires FROM memory ORDER BY receiver, kind, name"
    case count = "SELECT count(*) FROM memory"
    case keep = "INSERT OR REPLACE INTO memory (receiver, kind, name, value, expires) VALUES (?, ?, ?, ?, ?)"
    case forget = "DELETE FROM memory WHERE receiver = ? AND kind = ? AND name = ?"
    case expire = """
        DELETE FROM memory WHERE (receiver, kind, name) IN (
            SELECT receiver, kind, name FROM memory WHERE expires < ?1 ORDER BY expires LIMIT ?2)
        """
}
