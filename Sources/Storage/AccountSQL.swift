/// The table of `accounts.sqlite`.
enum AccountSchema {
    /// Each leads from one version to the next; none is ever changed, more may be added.
    static let steps = [
        [
            """
            CREATE TABLE account (name TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL, changed INTEGER NOT NULL)
                WITHOUT ROWID
            """
        ],
        ["CREATE TABLE habit (name TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID"],
    ]
    /// 256 KiB of log: people change accounts, not mail.
    static let checkpointPages = 64
}

/// Every statement on `accounts.sqlite`. `all` and `habits` read a table, at the start.
enum AccountSQL: String, KeptStatement {
    case all = "SELECT name, record, changed FROM account ORDER BY name"
    case keep = "INSERT OR REPLACE INTO account (name, record, changed) VALUES (?, ?, ?)"
    case habits = "SELECT name, record FROM habit ORDER BY name"
    case keepHabit = "INSERT OR REPLACE INTO habit (name, record) VALUES (?, ?)"
    case remove = "DELETE FROM account WHERE name = ?"
}
