package import Mail
import NIOCore
package import Queue

// What the reader thread asks for.
extension SQLiteStore {
    package func fresh(from floor: MessageID, limit: Int) throws -> [StoredMessage] {
        try reader().run { access in
            var found: [StoredMessage] = []
            try access.statement(SQL.fresh).bind(1, floor).bind(2, Int64(limit)).rows { row in
                if let stored = envelope(row.id(0), row, 1, content: { ByteBuffer() }) { found.append(stored) }
                return true
            }
            return found
        }
    }

    package func existing(_ ids: [MessageID]) throws -> Set<MessageID> {
        try reader().run { access in
            let exists = try access.statement(SQL.messageExists)
            return try Set(ids.filter { try exists.bind(1, $0).first { _ in true } != nil })
        }
    }

    package func agenda(after entry: AgendaEntry?, dueBy now: Timestamp, limit: Int) throws -> AgendaPage {
        try reader().run { access in
            var due: [AgendaEntry] = []
            try access.statement(SQL.agenda).bind(1, entry?.due.milliseconds ?? .min).bind(2, entry?.domain ?? "")
                .bind(3, now).bind(4, Int64(limit)).rows { row in
                    due.append(AgendaEntry(domain: row.text(0), due: row.time(1), postponed: row.integer(2) != 0))
                    return true
                }
            let next = try access.statement(SQL.agendaAfter).bind(1, now).first { $0.time(0) }
            return AgendaPage(due: due, next: next)
        }
    }

    package func customers(domain: String, after customer: String?, limit: Int) throws -> [String] {
        try reader().run { access in
            var found: [String] = []
            try lanes(domain, after: customer, access) { customer, _ in
                if found.count < limit { found.append(customer) }
                return found.count < limit
            }
            return found
        }
    }

    /// Goes from lane to lane with a seek each, until the body returns false.
    private func lanes(
        _ domain: String, after customer: String?, _ access: Access, _ body: (String, Timestamp) -> Bool
    ) throws {
        var last = customer
        while true {
            let statement = try access.statement(last == nil ? SQL.firstLane : .nextLane).bind(1, domain)
            if let last { statement.bind(2, last) }
            guard let (customer, due) = try statement.first({ ($0.text(0), $0.time(1)) }), body(customer, due) else {
                return
            }
            last = customer
        }
    }

    package func positions(
        _ lane: Lane, after position: Position, dueBy now: Timestamp, limit: Int
    ) throws -> [Position] {
        try reader().run { access in
            var found: [Position] = []
            try access.statement(SQL.positions).bind(1, lane.domain).bind(2, lane.customer).bind(3, position.due)
                .bind(4, position.message).bind(5, now).bind(6, Int64(limit)).rows { row in
                    found.append(Position(due: row.time(0), message: row.id(1)))
                    return true
                }
            return found
        }
    }

    package func works(_ keys: [WorkKey], bytes: Int) throws -> LoadedWorks {
        try reader().run { access in
            let statement = try access.statement(SQL.work)
            var loaded = LoadedWorks()
            var octets = 0
            for key in keys where octets < bytes || loaded.looked == 0 {
                statement.bind(1, key.message).bind(2, key.domain)
                if let work = try statement.first({ work(key, $0) }) ?? nil {
                    if case .inline(let content) = work.message.content { octets += content.readableBytes }
                    loaded.works.append(work)
                }
                loaded.looked += 1
            }
            return loaded
        }
    }

    private func work(_ key: WorkKey, _ row: Prepared) -> Work? {
        // The row knows better: a message that was held back expires later than its envelope says.
        let stored = envelope(key.message, row, 4, expires: row.time(3), content: { row.buffer(5) })
        guard let stored else { return nil }
        do {
            var recipients = row.unpacker(1)
            var progress = row.unpacker(2)
            return Work(
                message: stored.message, domain: key.domain, recipients: try recipients.recipients(),
                progress: try progress.progress(due: row.time(0)))
        } catch {
            unreadable(error, key.message, key.domain)
            return nil
        }
    }

    /// - Parameter expires: instead of what the envelope says.
    func envelope(
        _ id: MessageID, _ row: Prepared, _ column: Int32, expires: Timestamp? = nil, content: () -> ByteBuffer
    ) -> StoredMessage? {
        do {
            var unpacker = row.unpacker(column)
            return try unpacker.envelope(id: id, expires: expires, content: content)
        } catch {
            unreadable(error, id)
            return nil
        }
    }

    package func expired(by now: Timestamp, after cursor: ExpiryCursor?, limit: Int) throws -> [ExpiryCursor] {
        try reader().run { access in
            var found: [ExpiryCursor] = []
            try access.statement(SQL.expired).bind(1, cursor?.expires.milliseconds ?? .min)
                .bind(2, cursor?.key.message ?? MessageID(value: 0)).bind(3, cursor?.key.domain ?? "")
                .bind(4, now).bind(5, Int64(limit)).rows { row in
                    let key = WorkKey(message: row.id(1), domain: row.text(2))
                    found.append(ExpiryCursor(expires: row.time(0), key: key))
                    return true
                }
            return found
        }
    }

    package func pastRelay(by now: Timestamp, limit: Int) throws -> [ExpiryCursor] {
        try reader().run { access in
            var found: [ExpiryCursor] = []
            try access.statement(SQL.pastRelay).bind(1, now).bind(2, Int64(limit)).rows { row in
                found.append(
                    ExpiryCursor(expires: row.time(0), key: WorkKey(message: row.id(1), domain: row.text(2))))
                return true
            }
            return found
        }
    }

    /// A seek for each domain: a `GROUP BY` would read a million rows to name a few domains.
    package func earliest(afterDomain domain: String?, limit: Int) throws -> [AgendaEntry] {
        try reader().run { access in
            var found: [AgendaEntry] = []
            var last = domain
            while found.count < limit {
                let statement = try access.statement(last == nil ? SQL.firstDomain : .nextDomain)
                if let last { statement.bind(1, last) }
                guard let name = try statement.first({ $0.text(0) }) else { break }
                var entry = AgendaEntry(domain: name, due: .distantFuture)
                try lanes(name, after: nil, access) { _, due in
                    entry.due = min(entry.due, due)
                    return true
                }
                found.append(entry)
                last = name
            }
            return found
        }
    }
}
