package import Mail
import NIOCore
package import Queue

// What people ask for, on a connection of their own.
extension SQLiteStore {
    /// Rows that one page looks at; where few messages match, the person's next page goes on from there.
    private static let looked: Int64 = 5_000

    package func entries(_ filter: QueueFilter) throws -> QueuePage {
        try viewer().run { access in
            var found: [StoredMessage] = []
            var last: MessageID?
            var count: Int64 = 0
            let limit = min(max(filter.limit, 1), 1_000)
            try access.statement(SQL.entries).bind(1, filter.after ?? MessageID(value: 0)).bind(2, Self.looked)
                .rows { row in
                    count += 1
                    let id = row.id(0)
                    last = id
                    if let stored = envelope(id, row, 1, content: { ByteBuffer() }), filter.admits(stored.message),
                        filter.domain.map({ domain in stored.recipients.contains { $0.domain == domain } }) ?? true
                    {
                        found.append(stored)
                    }
                    return found.count < limit
                }
            let entries = try found.map { try entry($0, access) }
            return QueuePage(entries: entries, next: found.count == limit || count == Self.looked ? last : nil)
        }
    }

    package func entry(_ id: MessageID) throws -> QueueEntry? {
        try viewer().run { access in
            let stored = try access.statement(SQL.entry).bind(1, id).first { row in
                envelope(id, row, 1, content: { ByteBuffer() })
            }
            guard let stored, let stored else { return nil }
            return try entry(stored, access)
        }
    }

    private func entry(_ stored: StoredMessage, _ access: Access) throws -> QueueEntry {
        let id = stored.message.id
        var entry = QueueEntry(message: stored.message, works: [], untold: try reports(of: id, access))
        try access.statement(SQL.parts).bind(1, id).rows { row in
            if let part = part(id, row) { entry.works.append(part) }
            return true
        }
        if entry.works.isEmpty, entry.untold.isEmpty { entry.works = QueueEntry.Part.fresh(stored) }
        return entry
    }

    func part(_ id: MessageID, _ row: Prepared) -> QueueEntry.Part? {
        let domain = row.text(0)
        do {
            var recipients = row.unpacker(2)
            var progress = row.unpacker(3)
            return QueueEntry.Part(
                domain: domain, recipients: try recipients.recipients(),
                progress: try progress.progress(due: row.time(1)),
                state: .waiting)
        } catch {
            unreadable(error, id, domain)
            return nil
        }
    }

    /// Which of these messages have a row, for whoever may wait: on the connection that people's questions take.
    package func living(_ ids: [MessageID]) throws -> Set<MessageID> {
        try viewer().run { access in
            let exists = try access.statement(SQL.messageExists)
            return try Set(ids.filter { try exists.bind(1, $0).first { _ in true } != nil })
        }
    }

    package func counts() throws -> QueueCounts {
        try viewer().run { access in
            try access.statement(CountSQL.counts).first { row in
                QueueCounts(
                    messages: Int(row.integer(0)), works: Int(row.integer(1)), domains: Int(row.integer(2)),
                    untold: Int(row.integer(3)))
            } ?? QueueCounts(messages: 0, works: 0, domains: 0, untold: 0)
        }
    }
}
