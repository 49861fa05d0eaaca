import Mail
import NIOCore
import Queue

/// Carries out one ``StoreBatch`` inside its transaction.
struct BatchWriter {
    let access: Access
    private let store: SQLiteStore
    let now: Timestamp
    var packer = Packer()
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
        for untold in batch.untold { try writer.report(untold.report, of: untold.message) }
        for settlement in batch.settled { try writer.settle(settlement) }
        for expiration in batch.expired { try writer.expire(expiration) }
        for steering in batch.steered { writer.result.steered.append(try writer.steer(steering)) }
        if let delays = batch.delays { try writer.tell(of: delays) }
        for told in batch.told { try writer.tell(told) }
        if !batch.removed.isEmpty {
            let delete = try access.statement(SQL.deleteMessage)
            for id in batch.removed { try delete.bind(1, id).run() }
        }
        for (domain, due) in writer.forward {
            try access.statement(SQL.agendaForward).bind(1, domain).bind(2, due).run()
        }
        if let state = batch.state {
            try access.statement(SQL.setState).bind(1, state.floor).bind(2, state.ceiling).run()
        }
        return writer.result
    }

    private func undo(_ id: MessageID) throws {
        for sql in [SQL.deleteAllWaiting, SQL.deleteAllUntold, SQL.deleteMessage] {
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
        bind(insert, 8, until: row.progress.relay?.until)
        try insert.bind(7, row.customer).run()
        if row.onAgenda { bringForward(row.key.domain, row.progress.due) }
    }

    mutating func bind(
        _ statement: Prepared, _ first: Int32, _ second: Int32, recipients: [Address], progress: Progress
    ) {
        packer.clear()
        packer.recipients(recipients)
        statement.bind(first, packer.bytes)
        packer.clear()
        packer.progress(progress)
        statement.bind(second, packer.bytes)
    }

    func bind(_ statement: Prepared, _ place: Int32, until: Timestamp?) {
        if let until { statement.bind(place, until) } else { statement.bindNull(place) }
    }

    mutating func bringForward(_ domain: String, _ due: Timestamp) {
        forward[domain] = min(forward[domain] ?? due, due)
    }

    mutating func report(_ report: RecipientReport, of message: MessageID) throws {
        let insert = try access.statement(SQL.report)
        insert.bind(1, message).bind(2, report.recipient.domain).bind(3, report.recipient.localPart)
            .bind(4, Int64(report.kind.rawValue)).bind(5, report.reason).bind(6, report.at)
        guard let refusal = report.refusal else { return try insert.bindNull(7).run() }
        packer.clear()
        packer.refusal(refusal)
        packer.way(report.way)
        try insert.bind(7, packer.bytes).run()
    }

    /// What a filed work's row holds.
    struct Row {
        var recipients: [Address]
        var progress: Progress
        var isHeld: Bool
    }

    /// nil when the work has ended, or its row cannot be read.
    func row(_ key: WorkKey) throws -> Row? {
        do {
            return try access.statement(SQL.waiting).bind(1, key.message).bind(2, key.domain).first { row in
                var recipients = row.unpacker(1)
                var progress = row.unpacker(2)
                return Row(
                    recipients: try recipients.recipients(), progress: try progress.progress(due: row.time(0)),
                    isHeld: row.integer(3) != 0)
            }
        } catch let error as Unpacker.Unreadable {
            store.unreadable(error, key.message, key.domain)
            return nil
        }
    }

    private mutating func settle(_ settlement: Settlement) throws {
        let key = settlement.key
        guard let row = try row(key) else { return }
        for untold in settlement.untold(among: row.recipients) { try report(untold.report, of: key.message) }
        guard let left = Leftover(of: row.recipients, progress: row.progress, after: settlement, now: now) else {
            return try end(key)
        }
        if left.incomplete { result.incomplete.append(key) }
        let update = try access.statement(SQL.update)
        update.bind(1, key.message).bind(2, key.domain).bind(3, left.progress.due)
        bind(update, 4, 5, recipients: left.recipients, progress: left.progress)
        bind(update, 6, until: left.progress.relay?.until)
        try update.run()
        if !settlement.stillHandedOut { bringForward(key.domain, left.progress.due) }
    }

    private mutating func expire(_ expiration: Expiration) throws {
        let key = expiration.key
        guard let row = try row(key) else { return }
        let ended = expiration.ends(of: row.recipients, progress: row.progress)
        for ended in ended {
            if let report = ended.report { try self.report(report, of: key.message) }
        }
        result.expired.append((key, ended))
        try end(key)
    }

    /// Removes a work, and its message when that was the last and nobody is to be told.
    mutating func end(_ key: WorkKey) throws {
        try access.statement(SQL.deleteWaiting).bind(1, key.message).bind(2, key.domain).run()
        try removeIfDone(key.message)
    }

    private mutating func removeIfDone(_ id: MessageID) throws {
        for sql in [SQL.anyWaiting, SQL.anyUntold] {
            if try access.statement(sql).bind(1, id).first({ _ in true }) != nil { return }
        }
        do {
            let file = try access.statement(SQL.deleteMessageNamingFile).bind(1, id).first { row in
                var envelope = row.unpacker(0)
                return try envelope.envelope(id: id, content: { ByteBuffer() }).message.content
            }
            if case .file(let name) = file { result.files.append(name) }
        } catch let error as Unpacker.Unreadable {
            store.unreadable(error, id)
        }
    }

    /// Notes that what still waits of these messages is delayed.
    private mutating func tell(of delays: Delays) throws {
        for id in delays.messages {
            var rows: [Row] = []
            for domain in try waitingDomains(id) {
                if let row = try row(WorkKey(message: id, domain: domain)) { rows.append(row) }
            }
            for row in rows {
                for recipient in row.recipients { try report(row.progress.delay(of: recipient, at: now), of: id) }
            }
        }
        try access.statement(SQL.setDelayed).bind(1, delays.through).run()
    }

    private func waitingDomains(_ id: MessageID) throws -> [String] {
        var domains: [String] = []
        try access.statement(SQL.parts).bind(1, id).rows { row in
            domains.append(row.text(0))
            return true
        }
        return domains
    }

    private mutating func tell(_ told: Told) throws {
        let delete = try access.statement(SQL.tell)
        for report in told.reports {
            try delete.bind(1, told.message).bind(2, report.recipient.domain).bind(3, report.recipient.localPart)
                .bind(4, Int64(report.kind.rawValue)).run()
        }
        try removeIfDone(told.message)
    }
}
