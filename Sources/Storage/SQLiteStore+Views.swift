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
                    if let stored = envelope(id, row, 1, content: { ByteBuffer() }), filter.admits(stored) {
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

    /// - Parameter first: the column of the due time; recipients, progress and hold come after it.
    func part(_ id: MessageID, _ row: Prepared, domain: String? = nil, first: Int32 = 1) -> QueueEntry.Part? {
        let domain = domain ?? row.text(0)
        do {
            var recipients = row.unpacker(first + 1)
            var progress = row.unpacker(first + 2)
            var hold = row.unpacker(first + 3)
            return QueueEntry.Part(
                domain: domain, recipients: try recipients.recipients(),
                progress: try progress.progress(due: row.time(first)),
                state: .waiting, hold: row.isNull(first + 3) ? nil : try hold.hold())
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

    package func filed(_ filter: QueueFilter, after id: MessageID, limit: Int) throws -> FiledPage {
        try viewer().run { access in
            var page = FiledPage()
            var last: MessageID?
            try access.statement(SQL.filed).bind(1, id).rows { row in
                let id = row.id(0)
                if page.looked >= limit, id != last {
                    page.next = last
                    return false
                }
                page.looked += 1
                last = id
                let domain = row.text(1)
                let customer = row.text(2)
                guard filter.mayAdmit(id, domain: domain, customer: customer),
                    let part = part(id, row, domain: domain, first: 3)
                else { return true }
                page.works.append(FiledWork(message: id, customer: customer, part: part))
                return true
            }
            if filter.sender != nil { try keepSenders(of: filter, in: &page, access) }
            return page
        }
    }

    /// The sender stands in the envelope, which is only read of what the rest of the filter admits.
    private func keepSenders(of filter: QueueFilter, in page: inout FiledPage, _ access: Access) throws {
        var known: (id: MessageID, isAdmitted: Bool)?
        page.works = try page.works.filter { work in
            if let known, known.id == work.message { return known.isAdmitted }
            let isAdmitted = try access.statement(SQL.entry).bind(1, work.message).first { row in
                envelope(work.message, row, 1, content: { ByteBuffer() }).map { filter.admits($0.message.sender) }
            }
            known = (work.message, (isAdmitted ?? nil) ?? false)
            return known?.isAdmitted ?? false
        }
    }

    package func unfiled(after id: MessageID, limit: Int) throws -> [StoredMessage] {
        try viewer().run { access in
            let floor = try access.statement(SQL.state).first { $0.id(0) } ?? MessageID(value: 0)
            guard id.value < .max else { return [] }
            let from = max(floor, MessageID(value: id.value + 1))
            var found: [StoredMessage] = []
            try access.statement(SQL.fresh).bind(1, from).bind(2, Int64(limit)).rows { row in
                if let stored = envelope(row.id(0), row, 1, content: { ByteBuffer() }) { found.append(stored) }
                return true
            }
            return found
        }
    }

    package func counts() throws -> QueueCounts {
        try viewer().run { access in
            try access.statement(CountSQL.counts).first { row in
                QueueCounts(
                    messages: Int(row.integer(0)), works: Int(row.integer(1) + row.integer(2)),
                    held: Int(row.integer(2)), domains: Int(row.integer(3)), untold: Int(row.integer(4)),
                    atRelays: Int(row.integer(5)))
            } ?? QueueCounts(messages: 0, works: 0, held: 0, domains: 0, untold: 0)
        }
    }
}
