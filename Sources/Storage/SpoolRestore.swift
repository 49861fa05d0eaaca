import Glibc
package import Logging
package import Mail
package import Queue

/// Fills an empty spool from a backup.
///
/// The marker `restoring` stands in the spool from the first file to the last, and no relay starts on one that has it;
/// `queue.sqlite` gets its name when all else is there, so that whatever cut a restore off, it is simply done again.
package struct SpoolRestore {
    private let backup: String
    private let spool: Spool
    /// Whom the files shall belong to; nil leaves them to whoever restores.
    private let owner: (user: UInt32, group: UInt32)?

    /// - Throws: ``StoreFailure`` when the backup is not complete, the spool is not empty, or a relay works on it.
    package init(from backup: String, to path: String, owner: (user: UInt32, group: UInt32)?) throws {
        guard access("\(backup)/\(SpoolBackup.manifest)", R_OK) == 0, access(backup + "/queue.sqlite", R_OK) == 0 else {
            throw StoreFailure(
                .failed, "\(backup) is no complete backup: it has no \(SpoolBackup.manifest), or no queue.sqlite")
        }
        self.backup = backup
        self.owner = owner
        spool = try Spool(path: path, restoring: true)
        guard access("\(path)/\(Spool.restoring)", F_OK) != 0 else { return }
        let contents = try FileCopy.names(in: path + "/content")
        let others = try FileCopy.names(in: path).filter { !["lock", "content"].contains($0) }
        if let found = others.first ?? contents.first.map({ "content/\($0)" }) {
            throw StoreFailure(
                .failed,
                "\(path) is not empty (\(found)): move it away first, or what is in it would be lost or sent twice")
        }
    }

    /// - Parameters:
    ///   - made: the moment that the backup is of.
    ///   - hold: nothing is sent until somebody releases it; nil lets all of it go when a relay starts.
    /// - Returns: what was held.
    @discardableResult
    package func run(made: Timestamp, hold: Hold? = nil, logger: Logger) throws -> SteeringCount {
        let path = spool.path
        try FileCopy.write("filled from \(backup)\n", to: "\(path)/\(Spool.restoring)")
        try FileCopy.sync(path)
        try clear()
        for name in try FileCopy.names(in: backup + "/content") {
            try give("content/\(name)", from: "content/\(name)")
        }
        try FileCopy.sync(path + "/content")
        for name in try FileCopy.names(in: backup) where FileCopy.isRegular("\(backup)/\(name)") {
            if name != SpoolBackup.manifest, name != "queue.sqlite" { try give(name, from: name) }
        }
        try noteGap(since: made)
        let half = "queue.restored"
        try give(half, from: "queue.sqlite")
        try FileCopy.sync("\(path)/\(half)")
        guard rename("\(path)/\(half)", spool.queuePath) == 0 else {
            throw StoreFailure(errno: errno, "cannot name \(spool.queuePath)")
        }
        try FileCopy.sync(path)
        let held = try hold.map { try self.hold($0, logger) } ?? SteeringCount()
        for name in try FileCopy.names(in: path) where name != Spool.restoring { try own(name) }
        guard unlink("\(path)/\(Spool.restoring)") == 0 else {
            throw StoreFailure(errno: errno, "cannot finish \(path)")
        }
        try FileCopy.sync(path)
        return held
    }

    /// What a restore left that was cut off. A log would be played into the database that gets its name.
    private func clear() throws {
        for name in try FileCopy.names(in: spool.path) {
            let isLog = ["-wal", "-shm", "-journal"].contains { name.hasSuffix($0) }
            guard isLog || name == "queue.sqlite" || name == "history.sqlite" else { continue }
            guard unlink("\(spool.path)/\(name)") == 0 else {
                throw StoreFailure(errno: errno, "cannot remove \(spool.path)/\(name)")
            }
        }
        try FileCopy.sync(spool.path)
    }

    private func hold(_ hold: Hold, _ logger: Logger) throws -> SteeringCount {
        let store = SQLiteStore(spool: spool, logger: logger)
        // It only writes: what the history keeps, and how long, is the relay's to say.
        var keeping = History.Configuration()
        keeping.keep = .days(36_500)
        keeping.maximumSize = .max
        keeping.pendingEvents = .max
        let history = try History(spool: spool, logger: logger, configuration: keeping) { try? store.living($0) }
        defer { history.stop() }
        let held = try Standstill(store: store, trace: history, logger: logger).run(hold)
        try store.close()
        return held
    }

    /// What happened since is not in this history; an audit must know.
    private func noteGap(since made: Timestamp) throws {
        guard access(spool.historyPath, F_OK) == 0 else { return }
        let history = try Connection(path: spool.historyPath, label: "restore", .init(cache: 2 << 10))
        try history.run { access in
            let now = SystemTime().now()
            for table in HistorySchema.tables { try access.execute(table) }
            try access.execute("PRAGMA user_version = \(HistorySchema.version)")
            try access.statement(HistorySQL.gap).bind(1, made).bind(2, now).bind(3, 0)
                .bind(4, "the spool was restored from a backup").run()
            try access.statement(HistorySQL.close).run()
        }
        try history.close()
        try FileCopy.sync(spool.historyPath)
    }

    private func give(_ name: String, from source: String) throws {
        try FileCopy.copy("\(backup)/\(source)", to: "\(spool.path)/\(name)")
        try own(name)
    }

    private func own(_ name: String) throws {
        guard let owner else { return }
        guard lchown("\(spool.path)/\(name)", owner.user, owner.group) == 0 else {
            throw StoreFailure(errno: errno, "cannot give \(spool.path)/\(name) away")
        }
    }
}
