import Mail
import NIOCore
import Queue

/// Carries out one ``StoreBatch`` inside its transaction.
struct BatchWriter {
    private let access: Access
    private let store: SQLiteStore
    private let now: Timestamp
    private var packer = Packer()
    private var result = StoreResult()
    /// The earliest due time of each domain that this batch gives something to wait for.
    private var forward: [String: Timestamp] = [:]

    init(access: Access, store: SQLiteStore, at now: Timestamp) {
        self.access = access
        self.store = store
        self.now = now
    }

    func write(_ batch: StoreBatch) throws -> StoreResult {
        var writer = self
        for id in batch.undone { try writer.undo(id) }
        for move in batch.agenda { try writer.move(move) }
        try writer.insert(batch.accepted)
        for row in batch.filed { try writer.file(row) }
        for failed in batch.failed { try writer.fail(failed) }
        for settlement in batch.settled { try writer.settle(settlement) }
        for expiration in batch.expired { try writer.expire(expiration) }
        for id in batch.removed { try access.statement(SQL.deleteMessage).bind(1, id).run() }
        for (domain, due) in writer.forward {
            try access.statement(SQL.agendaForward).bind(1, domain).bind(2, due).run()
        }
        if let state = batch.state {
            try access.statement(SQL.setState).bind(1, state.floor).bind(2, state.ceiling).run()
        }
        return writer.result
    }

    private func undo(_ id: MessageID) throws {
        for sql in [SQL.deleteAllWaiting, SQL.deleteAllFailed, SQL.deleteMessage] {
            try access.statement(sql).bind(1, id).run()
        }
    }

    private func move(_ move: AgendaMove) throws {
        switch move {
        case .handedOut(let domain, let next?):
            try access.statement(SQL.agendaNext).bind(1, domain).bind(2, next).run()
        case .handedOut(let domain, nil):
            try access.statement(SQL.agendaDone).bind(1, domain).run()
        case .postponed(let domain, let until):
            try access.statement(SQL.agendaPostpone).bind(1, domain).bind(2, until).run()
        case .bringForward(let domain, let due):
            try access.statement(SQL.agendaForward).bind(1, domain).bind(2, due).run()
        }
    }

    private mutating func insert(_ accepted: [StoredMessage]) throws {
        guard !accepted.isEmpty else { return }
        let insert = try access.statement(SQL.insertMessage)
        for stored in accepted {
            packer.clear()
            packer.envelope(stored.message, recipients: stored.recipients)
            insert.bind(1, stored.message.id).bind(2, packer.bytes)
            switch stored.message.content {
            case .inline(let buffer):
                try buffer.withUnsafeReadableBytes { try insert.run(binding: 3, $0) }
            case .file:
                try insert.bindNull(3).run()
            }
        }
    }

    private mutating func file(_ row: WaitingRow) throws {
        let insert = try access.statement(SQL.file)
        insert.bind(1, row.key.message).bind(2, row.key.domain).bind(3, row.progress.due).bind(4, row.expires)
        bind(insert, 5, 6, recipients: row.recipients, progress: row.progress)
        try insert.bind(7, row.customer).run()
        if row.onAgenda { bringForward(row.key.domain, row.progress.due) }
    }

    private mutating func bind(
        _ statement: Prepared, _ first: Int32, _ second: Int32, recipients: [Address], progress: Progress
    ) {
        packer.clear()
        packer.recipients(recipients)
        statement.bind(first, packer.bytes)
        packer.clear()
        packer.progress(progress)
        statement.bind(second, packer.bytes)
    }

    private mutating func bringForward(_ domain: String, _ due: Timestamp) {
        forward[domain] = min(forward[domain] ?? due, due)
    }

    private func fail(_ failed: FailedRecipient) throws {
        let ended = failed.ended
        try access.statement(SQL.fail).bind(1, failed.message).bind(2, ended.recipient.domain)
            .bind(3, ended.recipient.localPart).bind(4, Int64(ended.how.rawValue)).bind(5, ended.reason)
            .bind(6, ended.at).run()
    }

    /// What a filed work's row holds; nil when the work has ended, or its row cannot be read.
    private func row(_ key: WorkKey) throws -> (recipients: [Address], progress: Progress)? {
        do {
            return try access.statement(SQL.waiting).bind(1, key.message).bind(2, key.domain).first { row in
                var recipients = row.unpacker(1)
                var progress = row.unpacker(2)
                return (try recipients.recipients(), try progress.progress(due: row.time(0)))
            }
        } catch let error as Unpacker.Unreadable {
            store.unreadable(error, key.message, key.domain)
            return nil
        }
    }

    private mutating func settle(_ settlement: Settlement) throws {
        let key = settlement.key
        guard let (recipients, progress) = try row(key) else { return }
        for failed in settlement.failures(among: recipients) { try fail(failed) }
        guard let left = Leftover(of: recipients, progress: progress, after: settlement, now: now) else {
            return try end(key)
        }
        if left.incomplete { result.incomplete.append(key) }
        let update = try access.statement(SQL.update)
        update.bind(1, key.message).bind(2, key.domain).bind(3, left.progress.due)
        bind(update, 4, 5, recipients: left.recipients, progress: left.progress)
        try update.run()
        if !settlement.stillHandedOut { bringForward(key.domain, left.progress.due) }
    }

    private mutating func expire(_ expiration: Expiration) throws {
        let key = expiration.key
        guard let (recipients, progress) = try row(key) else { return }
        let ended = expiration.ends(of: recipients, progress: progress)
        for ended in ended { try fail(FailedRecipient(message: key.message, ended: ended)) }
        result.expired.append((key, ended))
        try end(key)
    }

    /// Removes a work, and its message when that was the last and nobody is to be told.
    private mutating func end(_ key: WorkKey) throws {
        try access.statement(SQL.deleteWaiting).bind(1, key.message).bind(2, key.domain).run()
        for sql in [SQL.anyWaiting, SQL.anyFailed] {
            if try access.statement(sql).bind(1, key.message).first({ _ in true }) != nil { return }
        }
        do {
            let file = try access.statement(SQL.deleteMessageNamingFile).bind(1, key.message).first { row in
                var envelope = row.unpacker(0)
                return try envelope.envelope(id: key.message, content: { ByteBuffer() }).message.content
            }
            if case .file(let name) = file { result.files.append(name) }
        } catch let error as Unpacker.Unreadable {
            store.unreadable(error, key.message)
        }
    }
}
