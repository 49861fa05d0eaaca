import Mail
import Queue

/// What an operator does with filed works.
extension BatchWriter {
    mutating func steer(_ steering: Steering) throws -> Steered {
        switch steering.change {
        case .hold(let hold): try self.hold(steering.key, hold)
        case .release: try release(steering.key)
        case .retry: try retry(steering.key)
        case .end(let end): try self.end(steering.key, end)
        }
    }

    private mutating func hold(_ key: WorkKey, _ hold: Hold) throws -> Steered {
        packer.clear()
        packer.hold(hold)
        try access.statement(SQL.hold).bind(1, key.message).bind(2, key.domain).bind(3, packer.bytes).run()
        return Steered(key: key, changed: access.changes > 0)
    }

    /// A row but for what it says of recipients and attempts.
    private struct Standing {
        var due: Timestamp
        var expires: Timestamp
        var isHeld: Bool
        /// Since when it is held.
        var since: Timestamp
    }

    private func standing(_ key: WorkKey) throws -> Standing? {
        let now = now
        return try access.statement(SQL.standing).bind(1, key.message).bind(2, key.domain).first { row in
            // A hold that cannot be read gives back no time, and can still be released.
            var hold = row.unpacker(3)
            let since = row.isNull(3) ? nil : try? hold.hold().at
            return Standing(
                due: row.time(0), expires: row.time(1), isHeld: row.integer(2) != 0, since: since ?? now)
        }
    }

    /// The work is due at once, and the message gets back the time that it stood still.
    private mutating func release(_ key: WorkKey) throws -> Steered {
        guard let standing = try standing(key) else { return Steered(key: key, changed: false) }
        guard standing.isHeld else { return Steered(key: key, changed: false, due: standing.due) }
        try access.statement(SQL.release).bind(1, key.message).bind(2, key.domain).bind(3, now).run()
        try giveBackTime(atRelay: key, since: standing.since)
        let expires = Hold.deadline(standing.expires, since: standing.since, now: now)
        if expires > standing.expires {
            try access.statement(SQL.setExpires).bind(1, key.message).bind(2, expires).run()
        }
        // A domain that was put off long ago is looked at anew; Delivery puts it off again where that is still so.
        try access.statement(SQL.agendaSummon).bind(1, key.domain).bind(2, now).run()
        return Steered(key: key, changed: true, due: now)
    }

    /// The deadline at a relay stood still as well.
    private mutating func giveBackTime(atRelay key: WorkKey, since: Timestamp) throws {
        guard var row = try row(key), let until = row.progress.relay?.until else { return }
        row.progress.relay?.until = Hold.deadline(until, since: since, now: now)
        let update = try access.statement(SQL.update)
        update.bind(1, key.message).bind(2, key.domain).bind(3, now)
        bind(update, 4, 5, recipients: row.recipients, progress: row.progress)
        bind(update, 6, until: row.progress.relay?.until)
        try update.run()
    }

    private mutating func retry(_ key: WorkKey) throws -> Steered {
        guard let standing = try standing(key), !standing.isHeld else { return Steered(key: key, changed: false) }
        let due = min(standing.due, now)
        if due < standing.due {
            try access.statement(SQL.setDue).bind(1, key.message).bind(2, key.domain).bind(3, due).run()
        }
        try access.statement(SQL.agendaSummon).bind(1, key.domain).bind(2, due).run()
        return Steered(key: key, changed: true, due: due)
    }

    private mutating func end(_ key: WorkKey, _ end: SteeredEnd) throws -> Steered {
        guard let row = try row(key) else { return Steered(key: key, changed: false) }
        let ended = end.ends(of: row.recipients, at: now)
        let due = row.isHeld && !(end.isRelease && !ended.isEmpty) ? nil : row.progress.due
        guard !ended.isEmpty else { return Steered(key: key, changed: false, due: due) }
        for report in ended.compactMap(\.report) { try self.report(report, of: key.message) }
        guard ended.count < row.recipients.count else {
            try self.end(key)
            return Steered(key: key, changed: true, ended: ended)
        }
        let names = Set(ended.map(\.recipient))
        let update = try access.statement(SQL.update)
        update.bind(1, key.message).bind(2, key.domain).bind(3, row.progress.due)
        bind(update, 4, 5, recipients: row.recipients.filter { !names.contains($0) }, progress: row.progress)
        bind(update, 6, until: row.progress.relay?.until)
        try update.run()
        if row.isHeld, due != nil {
            try access.statement(SQL.release).bind(1, key.message).bind(2, key.domain).bind(3, row.progress.due).run()
        }
        if let due { bringForward(key.domain, due) }
        return Steered(key: key, changed: true, ended: ended, due: due)
    }
}
