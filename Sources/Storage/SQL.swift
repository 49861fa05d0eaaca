/// SQL that a connection keeps prepared. Only enumerations can be, so that a test can ask SQLite for the plan of every
/// one of them: a new statement cannot be forgotten there.
protocol KeptStatement: RawRepresentable, CaseIterable, Sendable where RawValue == String {}

/// Every statement on `queue.sqlite` that runs while mail flows, or at a start. None may scan or sort.
enum SQL: String, KeptStatement {
    case insertMessage = "INSERT INTO message (id, envelope, content) VALUES (?, ?, ?)"
    case deleteMessage = "DELETE FROM message WHERE id = ?"
    case deleteMessageNamingFile = "DELETE FROM message WHERE id = ? RETURNING envelope"
    case messageExists = "SELECT 1 FROM message WHERE id = ?"
    case fresh = """
        SELECT id, envelope FROM message WHERE id >= ?
        AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = message.id)
        AND NOT EXISTS (SELECT 1 FROM untold WHERE untold.message = message.id)
        ORDER BY id LIMIT ?
        """

    case file = """
        INSERT OR REPLACE INTO waiting (message, domain, due, expires, recipients, progress, customer, until)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
    case waiting = "SELECT due, recipients, progress, held FROM waiting WHERE message = ? AND domain = ?"
    case update = """
        UPDATE waiting SET due = ?3, recipients = ?4, progress = ?5, until = ?6 WHERE message = ?1 AND domain = ?2
        """
    case deleteWaiting = "DELETE FROM waiting WHERE message = ? AND domain = ?"
    case deleteAllWaiting = "DELETE FROM waiting WHERE message = ?"
    case anyWaiting = "SELECT 1 FROM waiting WHERE message = ? LIMIT 1"

    case hold = "UPDATE waiting SET held = 1, hold = ?3 WHERE message = ?1 AND domain = ?2 AND held = 0"
    case standing = "SELECT due, expires, held, hold FROM waiting WHERE message = ? AND domain = ?"
    case release = "UPDATE waiting SET held = 0, hold = NULL, due = ?3 WHERE message = ?1 AND domain = ?2"
    case setDue = "UPDATE waiting SET due = ?3 WHERE message = ?1 AND domain = ?2"
    /// A message's works expire together.
    case setExpires = "UPDATE waiting SET expires = ?2 WHERE message = ?1 AND expires < ?2"

    case report = """
        INSERT OR IGNORE INTO untold (message, domain, local, kind, reason, at, refusal) VALUES (?, ?, ?, ?, ?, ?, ?)
        """
    case anyUntold = "SELECT 1 FROM untold WHERE message = ? LIMIT 1"
    case deleteAllUntold = "DELETE FROM untold WHERE message = ?"
    case tell = "DELETE FROM untold WHERE message = ? AND domain = ? AND local = ? AND kind = ?"
    case untold = """
        SELECT at, message, NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = untold.message) FROM untold
        WHERE (at, message) > (?1, ?2) ORDER BY at, message LIMIT ?3
        """
    case reports = """
        SELECT domain, local, kind, reason, at, refusal FROM untold WHERE message = ? ORDER BY domain, local, kind
        """
    case messageWithContent = "SELECT envelope, content FROM message WHERE id = ?"
    case waitingMessages = """
        SELECT DISTINCT message FROM waiting WHERE message > ?1 AND message <= ?2 ORDER BY message LIMIT ?3
        """
    case setDelayed = "UPDATE state SET delayed = ? WHERE one = 1"

    /// Sets the time, but not before `until`.
    case agendaNext = """
        INSERT INTO agenda (domain, due, until) VALUES (?, ?, 0)
        ON CONFLICT (domain) DO UPDATE SET due = max(excluded.due, until)
        """
    case agendaDone = "DELETE FROM agenda WHERE domain = ?"
    /// When it is over the domain is named, and a fetch finds out what is next.
    case agendaPostpone = """
        INSERT INTO agenda (domain, due, until) VALUES (?1, ?2, ?2)
        ON CONFLICT (domain) DO UPDATE SET due = excluded.until, until = excluded.until
        """
    case agendaForward = """
        INSERT INTO agenda (domain, due, until) VALUES (?, ?, 0)
        ON CONFLICT (domain) DO UPDATE SET due = max(excluded.due, until) WHERE due > max(excluded.due, until)
        """
    /// As ``agendaForward``, whatever it was postponed to.
    case agendaSummon = """
        INSERT INTO agenda (domain, due, until) VALUES (?, ?, 0)
        ON CONFLICT (domain) DO UPDATE SET due = min(due, excluded.due), until = 0
        """
    case agenda = """
        SELECT domain, due, until FROM agenda
        WHERE (due, domain) > (?, ?) AND due <= ? ORDER BY due, domain LIMIT ?
        """
    case agendaAfter = "SELECT due FROM agenda WHERE due > ? ORDER BY due LIMIT 1"

    case positions = """
        SELECT due, message FROM waiting
        WHERE held = 0 AND domain = ?1 AND customer = ?2 AND (due, message) > (?3, ?4) AND due <= ?5
        ORDER BY due, message LIMIT ?6
        """
    case work = """
        SELECT waiting.due, waiting.recipients, waiting.progress, waiting.expires, message.envelope, message.content
        FROM waiting CROSS JOIN message WHERE waiting.message = ?1 AND waiting.domain = ?2 AND message.id = ?1
        """
    case expired = """
        SELECT expires, message, domain FROM waiting
        WHERE held = 0 AND (expires, message, domain) > (?1, ?2, ?3) AND expires <= ?4
        ORDER BY expires, message, domain LIMIT ?5
        """
    case pastRelay = """
        SELECT until, message, domain FROM waiting
        WHERE until IS NOT NULL AND until <= ?1 AND held = 0 ORDER BY until, message, domain LIMIT ?2
        """
    case firstDomain = "SELECT domain FROM waiting WHERE held = 0 AND domain >= '' ORDER BY domain LIMIT 1"
    case nextDomain = "SELECT domain FROM waiting WHERE held = 0 AND domain > ? ORDER BY domain LIMIT 1"
    /// Of each lane of a domain the row that is due first.
    case firstLane = """
        SELECT customer, due FROM waiting WHERE held = 0 AND domain = ? AND customer >= ''
        ORDER BY customer, due LIMIT 1
        """
    case nextLane = """
        SELECT customer, due FROM waiting WHERE held = 0 AND domain = ? AND customer > ?
        ORDER BY customer, due LIMIT 1
        """

    case setState = "UPDATE state SET floor = ?, ceiling = ? WHERE one = 1"
    case state = "SELECT floor, ceiling, delayed FROM state WHERE one = 1"

    /// For people, a page or a message at a time.
    case entries = "SELECT id, envelope FROM message WHERE id > ? ORDER BY id LIMIT ?"
    case entry = "SELECT id, envelope FROM message WHERE id = ?"
    case parts = "SELECT domain, due, recipients, progress, hold FROM waiting WHERE message = ? ORDER BY domain"
    /// Stepped through a page at a time.
    case filed = """
        SELECT message, domain, customer, due, recipients, progress, hold FROM waiting WHERE message > ?
        ORDER BY message, domain
        """
    /// For those who watch, by the indexes alone.
    case censusFree = """
        SELECT domain, customer, due, message FROM waiting
        WHERE held = 0 AND (domain, customer, due, message) > (?1, ?2, ?3, ?4)
        ORDER BY domain, customer, due, message LIMIT ?5
        """
    case censusHeld = """
        SELECT message, domain FROM waiting WHERE held = 1 AND (message, domain) > (?1, ?2)
        ORDER BY message, domain LIMIT ?3
        """
    case censusRelays = """
        SELECT until, message, domain, progress FROM waiting
        WHERE until IS NOT NULL AND (until, message, domain) > (?1, ?2, ?3)
        ORDER BY until, message, domain LIMIT ?4
        """
}

/// What looks at the whole queue, for people who ask how much there is; nothing waits for it.
enum CountSQL: String, KeptStatement {
    /// Counted in the narrowest indexes there are, in their order: counting `message` itself would read gigabytes.
    /// Works of one message expire together, so that they stand together in that index; below the floor every message
    /// has works or untold recipients, and above it there are seconds' worth.
    case counts = """
        SELECT (SELECT count(*) FROM (SELECT 1 FROM waiting WHERE held = 0 GROUP BY expires, message))
        + (SELECT count(*) FROM (SELECT message FROM waiting WHERE held = 1 GROUP BY message) AS back
           WHERE NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = back.message AND waiting.held = 0))
        + (SELECT count(*) FROM (SELECT message FROM untold GROUP BY message) AS told
           WHERE NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = told.message))
        + (SELECT count(*) FROM message WHERE id >= (SELECT floor FROM state WHERE one = 1)
           AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = message.id)
           AND NOT EXISTS (SELECT 1 FROM untold WHERE untold.message = message.id)),
        (SELECT count(*) FROM waiting WHERE held = 0), (SELECT count(*) FROM waiting WHERE held = 1),
        (SELECT count(*) FROM agenda), (SELECT count(*) FROM untold),
        (SELECT count(*) FROM waiting WHERE until IS NOT NULL)
        """
}

/// A transaction's begin and end, of either file.
enum TransactionSQL: String, KeptStatement {
    case begin = "BEGIN IMMEDIATE"
    case commit = "COMMIT"
    case rollback = "ROLLBACK"
}
