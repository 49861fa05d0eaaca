import GRDB
import Mail
import NIOCore
import Queue

/// The tables of `queue.sqlite`.
enum Schema {
    /// Raised with every change below; a file of a later version is refused.
    static let version: Int64 = 5

    /// One list of statements for each version.
    private static let steps: [[String]] = [
        [
            // A fresh message is one row here and nothing else: no index is touched when it comes and when it goes.
            // The envelope stands before the content, so that reading it does not read the content's pages.
            """
            CREATE TABLE message (id INTEGER PRIMARY KEY, envelope BLOB NOT NULL, content BLOB)
            """,
            // What outlived its first attempt: one row for each recipient domain.
            """
            CREATE TABLE waiting (
                message INTEGER NOT NULL, domain TEXT NOT NULL, due INTEGER NOT NULL, expires INTEGER NOT NULL,
                recipients BLOB NOT NULL, progress BLOB NOT NULL, PRIMARY KEY (message, domain)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX waiting_due ON waiting (domain, due, message)",
            "CREATE INDEX waiting_expires ON waiting (expires, message, domain)",
            // When each domain is next to be looked at. `until`: not before then, whatever is due.
            """
            CREATE TABLE agenda (domain TEXT PRIMARY KEY, due INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID
            """,
            "CREATE INDEX agenda_due ON agenda (due)",
            // Recipients whose sender is still to be told.
            """
            CREATE TABLE failed (
                message INTEGER NOT NULL, domain TEXT NOT NULL, local TEXT NOT NULL, how INTEGER NOT NULL,
                reason TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (message, domain, local)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE state (
                one INTEGER PRIMARY KEY CHECK (one = 1), floor INTEGER NOT NULL, ceiling INTEGER NOT NULL)
            """,
            "INSERT INTO state (one, floor, ceiling) VALUES (1, 0, 0)",
        ],
        [
            // Due works are read customer by customer, so that nobody's mail stands behind another's newsletter.
            "ALTER TABLE waiting ADD COLUMN customer TEXT NOT NULL DEFAULT ''",
            """
            UPDATE waiting SET customer = customer_of((SELECT envelope FROM message WHERE id = waiting.message))
            """,
            "DROP INDEX waiting_due",
            "CREATE INDEX waiting_due ON waiting (domain, customer, due, message)",
        ],
        [
            // What senders are still to be told: of recipients that failed, expired, were handed to a host that will
            // not tell, or are delayed.
            """
            CREATE TABLE untold (
                message INTEGER NOT NULL, domain TEXT NOT NULL, local TEXT NOT NULL, kind INTEGER NOT NULL,
                reason TEXT NOT NULL, at INTEGER NOT NULL, refusal BLOB, PRIMARY KEY (message, domain, local, kind)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX untold_at ON untold (at, message)",
            "INSERT INTO untold SELECT message, domain, local, how, reason, at, NULL FROM failed",
            "DROP TABLE failed",
            "ALTER TABLE state ADD COLUMN delayed INTEGER NOT NULL DEFAULT 0",
        ],
        [
            // What an operator holds back stands in neither order, so that it costs those that are due nothing. The
            // last column of an index is the same in all of its rows: with it SQLite need not look into the table.
            "ALTER TABLE waiting ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
            // Since when, by whom and why.
            "ALTER TABLE waiting ADD COLUMN hold BLOB",
            "DROP INDEX waiting_due",
            "CREATE INDEX waiting_due ON waiting (domain, customer, due, message, held) WHERE held = 0",
            "DROP INDEX waiting_expires",
            "CREATE INDEX waiting_expires ON waiting (expires, message, domain, held) WHERE held = 0",
            "CREATE INDEX waiting_held ON waiting (message, domain, held) WHERE held = 1",
        ],
        [
            // When what is at a relay fails unless the relay has taken it; all other rows cost this index nothing.
            "ALTER TABLE waiting ADD COLUMN until INTEGER",
            "CREATE INDEX waiting_until ON waiting (until, message, domain, held) WHERE until IS NOT NULL",
        ],
    ]

    /// Brings the file to this program's version; each step is a transaction.
    static func migrate(_ connection: Connection, path: String) throws {
        try connection.run { access in
            let found = try access.schema(of: path, upTo: version)
            guard found < version else { return }
            access.define("customer_of") { envelope in
                var unpacker = Unpacker(envelope)
                let stored = try? unpacker.envelope(id: MessageID(value: 0)) { ByteBuffer() }
                // A row that cannot be read is never handed out.
                return stored?.message.customer ?? ""
            }
            try access.migrate(from: found, by: steps)
        }
    }
}
