/// Every statement of an audit. Each reads a page in the order of an index, so that no read holds the log of a running
/// relay for long.
enum AuditSQL: String, KeptStatement {
    case messages = "SELECT id, envelope, typeof(content) FROM message WHERE id > ? ORDER BY id LIMIT ?"
    case waiting = """
        SELECT message, domain, recipients FROM waiting WHERE (message, domain) > (?, ?)
        ORDER BY message, domain LIMIT ?
        """
    case untold = """
        SELECT message, domain, local, kind FROM untold WHERE (message, domain, local, kind) > (?, ?, ?, ?)
        ORDER BY message, domain, local, kind LIMIT ?
        """
    case message = "SELECT id, envelope, typeof(content) FROM message WHERE id = ?"
    case waitingOf = "SELECT message, domain, recipients FROM waiting WHERE message = ? ORDER BY domain"
    case untoldOf = "SELECT message, domain, local, kind FROM untold WHERE message = ? ORDER BY domain, local, kind"
    case floor = "SELECT floor FROM state WHERE one = 1"
}

/// The same for the history's file.
enum AuditHistorySQL: String, KeptStatement {
    case events = """
        SELECT message, sequence, body FROM event WHERE (message, sequence) > (?, ?) ORDER BY message, sequence LIMIT ?
        """
    case eventsOf = "SELECT message, sequence, body FROM event WHERE message = ? ORDER BY sequence"
    case gaps = "SELECT began, ended, dropped, why FROM gap ORDER BY ended, began LIMIT 10000"
    case run = "SELECT created, written, open FROM run WHERE one = 1"
}
