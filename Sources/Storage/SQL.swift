/// Every statement that runs while mail flows. A test asks SQLite for the plan of each: none may scan or sort.
enum SQL {
    static let insertMessage = "INSERT INTO message (id, envelope, content) VALUES (?, ?, ?)"
    static let deleteMessage = "DELETE FROM message WHERE id = ?"
    static let deleteMessageNamingFile = "DELETE FROM message WHERE id = ? RETURNING envelope"
    static let messageExists = "SELECT 1 FROM message WHERE id = ?"
    static let fresh = """
        SELECT id, envelope FROM message WHERE id >= ?
        AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = message.id)
        AND NOT EXISTS (SELECT 1 FROM failed WHERE failed.message = message.id)
        ORDER BY id LIMIT ?
        """

    static let file = """
        INSERT OR REPLACE INTO waiting (message, domain, due, expires, recipients, progress) VALUES (?, ?, ?, ?, ?, ?)
        """
    static let waiting = "SELECT due, recipients, progress FROM waiting WHERE message = ? AND domain = ?"
    static let update = "UPDATE waiting SET due = ?3, recipients = ?4, progress = ?5 WHERE message = ?1 AND domain = ?2"
    static let deleteWaiting = "DELETE FROM waiting WHERE message = ? AND domain = ?"
    static let deleteAllWaiting = "DELETE FROM waiting WHERE message = ?"
    static let anyWaiting = "SELECT 1 FROM waiting WHERE message = ? LIMIT 1"

    static let fail = """
        INSERT OR IGNORE INTO failed (message, domain, local, how, reason, at) VALUES (?, ?, ?, ?, ?, ?)
        """
    static let anyFailed = "SELECT 1 FROM failed WHERE message = ? LIMIT 1"
    static let deleteAllFailed = "DELETE FROM failed WHERE message = ?"

    /// Sets the time, but not before `until`.
    static let agendaNext = """
        INSERT INTO agenda (domain, due, until) VALUES (?, ?, 0)
        ON CONFLICT (domain) DO UPDATE SET due = max(excluded.due, until)
        """
    static let agendaDone = "DELETE FROM agenda WHERE domain = ?"
    /// When it is over the domain is named, and a fetch finds out what is next.
    static let agendaPostpone = """
        INSERT INTO agenda (domain, due, until) VALUES (?1, ?2, ?2)
        ON CONFLICT (domain) DO UPDATE SET due = excluded.until, until = excluded.until
        """
    static let agendaForward = """
        INSERT INTO agenda (domain, due, until) VALUES (?, ?, 0)
        ON CONFLICT (domain) DO UPDATE SET due = max(excluded.due, until) WHERE due > max(excluded.due, until)
        """
    static let agenda = "SELECT domain, due FROM agenda WHERE due <= ? ORDER BY due LIMIT ?"
    static let agendaAfter = "SELECT due FROM agenda WHERE due > ? ORDER BY due LIMIT 1"

    static let positions = """
        SELECT due, message FROM waiting WHERE domain = ?1 AND (due, message) > (?2, ?3) AND due <= ?4
        ORDER BY due, message LIMIT ?5
        """
    static let work = """
        SELECT waiting.due, waiting.recipients, waiting.progress, message.envelope, message.content
        FROM waiting CROSS JOIN message WHERE waiting.message = ?1 AND waiting.domain = ?2 AND message.id = ?1
        """
    static let expired = """
        SELECT expires, message, domain FROM waiting WHERE (expires, message, domain) > (?1, ?2, ?3) AND expires <= ?4
        ORDER BY expires, message, domain LIMIT ?5
        """
    static let nextDomain = "SELECT domain, due FROM waiting WHERE domain > ? ORDER BY domain, due LIMIT 1"
    static let firstDomain = "SELECT domain, due FROM waiting ORDER BY domain, due LIMIT 1"

    static let setState = "UPDATE state SET floor = ?, ceiling = ? WHERE one = 1"
    static let state = "SELECT floor, ceiling FROM state WHERE one = 1"

    static let entries = "SELECT id, envelope FROM message WHERE id > ? ORDER BY id LIMIT ?"
    static let entry = "SELECT id, envelope FROM message WHERE id = ?"
    static let parts = "SELECT domain, due, recipients, progress FROM waiting WHERE message = ? ORDER BY domain"
    static let failures = "SELECT domain, local, how, reason, at FROM failed WHERE message = ? ORDER BY domain, local"

    static let all = [
        insertMessage, deleteMessage, deleteMessageNamingFile, messageExists, fresh, file, waiting, update,
        deleteWaiting,
        deleteAllWaiting, anyWaiting, fail, anyFailed, deleteAllFailed, agendaNext, agendaDone, agendaPostpone,
        agendaForward, agenda, agendaAfter, positions, work, expired, nextDomain, firstDomain, setState, state, entries,
        entry, parts, failures,
    ]
}
