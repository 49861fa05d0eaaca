/// The tables of `history.sqlite`.
enum HistorySchema {
    static let version: Int64 = 2

    /// Each is made where it is missing; version 1 had the first one alone.
    static let tables = [
        """
        CREATE TABLE IF NOT EXISTS event (
            message INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (message, sequence)
        ) WITHOUT ROWID
        """,
        // Spans of which not everything is known.
        """
        CREATE TABLE IF NOT EXISTS gap (
            ended INTEGER NOT NULL, began INTEGER NOT NULL, dropped INTEGER NOT NULL, why TEXT NOT NULL,
            PRIMARY KEY (ended, began)
        ) WITHOUT ROWID
        """,
        // Since when events are kept here, until when all of them were written, and whether a relay writes.
        """
        CREATE TABLE IF NOT EXISTS run (
            one INTEGER PRIMARY KEY CHECK (one = 1), created INTEGER NOT NULL, written INTEGER NOT NULL,
            open INTEGER NOT NULL)
        """,
    ]
}

/// Every statement on `history.sqlite`. None may scan or sort.
enum HistorySQL: String, KeptStatement {
    case insert = "INSERT OR REPLACE INTO event (message, sequence, body) VALUES (?, ?, ?)"
    case events = "SELECT body FROM event WHERE message = ? ORDER BY sequence"
    case first = "SELECT message FROM event WHERE message >= 0 ORDER BY message LIMIT 1"
    case next = "SELECT message FROM event WHERE message > ? ORDER BY message LIMIT 1"
    case last = "SELECT message FROM event WHERE message < ? ORDER BY message DESC LIMIT 1"
    case forget = "DELETE FROM event WHERE message = ?"

    case begin = "INSERT OR IGNORE INTO run (one, created, written, open) VALUES (1, ?1, ?1, 0)"
    case run = "SELECT created, written, open FROM run WHERE one = 1"
    case open = "UPDATE run SET written = ?, open = 1 WHERE one = 1"
    case close = "UPDATE run SET open = 0 WHERE one = 1"
    case written = "UPDATE run SET written = ? WHERE one = 1"
    case gap = "INSERT OR REPLACE INTO gap (began, ended, dropped, why) VALUES (?, ?, ?, ?)"
    case gaps = "SELECT began, ended, dropped, why FROM gap WHERE ended > ? ORDER BY ended, began LIMIT 10000"
    case forgetGaps = "DELETE FROM gap WHERE ended < ?"
}
