/// The tables of `accounts.sqlite`.
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
        // From here on records say whether a customer is closed: who does not know that must not open the file.
        [
            "CREATE TABLE key (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE recipient (
                customer TEXT NOT NULL, digest INTEGER NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (customer, digest)
            ) WITHOUT ROWID
            """,
            "CREATE TABLE count (name TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
        ],
        [
            """
            CREATE TABLE friend (
                user TEXT NOT NULL, address TEXT NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (user, address)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX friend_day ON friend (day)",
        ],
    ]
    /// 256 KiB of log: people change accounts, not mail.
    static let checkpointPages = 64
}

/// Every statement on `accounts.sqlite`. Some go through a whole table, at the start: `all`, `habits`, `counts`,
/// `friends`, `recipients` and `forgetRecipients`.
enum AccountSQL: String, KeptStatement {
    case all = "SELECT name, record, changed FROM account ORDER BY name"
    case keep = "INSERT OR REPLACE INTO account (name, record, changed) VALUES (?, ?, ?)"
    case habits = "SELECT name, record FROM habit ORDER BY name"
    case keepHabit = "INSERT OR REPLACE INTO habit (name, record) VALUES (?, ?)"
    case counts = "SELECT name, record FROM count ORDER BY name"
    case keepCount = "INSERT OR REPLACE INTO count (name, record) VALUES (?, ?)"
    case friends = "SELECT user, address FROM friend ORDER BY day DESC LIMIT ?"
    case keepFriend = "INSERT OR REPLACE INTO friend (user, address, day) VALUES (?, ?, ?)"
    case forgetFriends = "DELETE FROM friend WHERE day < ?"
    case key = "SELECT value FROM key WHERE name = ?"
    case keepKey = "INSERT INTO key (name, value) VALUES (?, ?)"
    case recipients = "SELECT customer, digest, day FROM recipient ORDER BY customer, digest"
    case keepRecipient = "INSERT OR REPLACE INTO recipient (customer, digest, day) VALUES (?, ?, ?)"
    case forgetRecipient = "DELETE FROM recipient WHERE customer = ? AND digest = ?"
    case forgetRecipients = "DELETE FROM recipient WHERE day < ?"
    case remove = "DELETE FROM account WHERE name = ?"
}
