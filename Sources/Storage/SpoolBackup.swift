import Glibc
package import Mail
import NIOCore
import Queue

/// Statements on the copies that a backup makes.
enum BackupSQL: String, KeptStatement {
    /// Messages with an envelope, a page at a time.
    case messages = "SELECT id, envelope FROM message WHERE id > ? ORDER BY id LIMIT ?"
    case exists = "SELECT 1 FROM message WHERE id = ?"
    case deleteMessage = "DELETE FROM message WHERE id = ?"
    case deleteWaiting = "DELETE FROM waiting WHERE message = ?"
    case deleteUntold = "DELETE FROM untold WHERE message = ?"
}

/// A consistent copy of a spool, made while a relay works on it.
///
/// 1. `VACUUM INTO` copies `queue.sqlite` as it is at one moment.
/// 2. Each content file that this copy names gets a second name in the backup, or a copy on another file system.
/// 3. `history.sqlite` is copied the same way, so that it knows the ends of what ended meanwhile, and then all other
///    files (an operator's settings).
/// 4. What has ended meanwhile is taken out of the copy: its content may be gone, and it must not be sent again.
/// 5. Everything is synced, the manifest is written, and the folder gets its name: one with that name is complete.
package struct SpoolBackup {
    private let spool: String
    private let target: String
    private var partial: String { target + ".partial" }
    private let withHistory: Bool

    package static let manifest = "backup.json"
    /// In a folder that is being filled.
    private static let unfinished = "unfinished"
    private static let page: Int64 = 1_000

    package struct Result: Sendable {
        /// The moment that the copy of the queue is of.
        package var at: Timestamp
        package var messages = 0
        package var linked = 0
        /// Messages that ended while the backup was made.
        package var ended = 0
        /// Messages whose content is missing in the spool itself.
        package var missing: [MessageID] = []
    }

    /// - Throws: ``StoreFailure`` when the spool is none, or the target cannot be made.
    package init(of spool: String, to target: String, history: Bool = true) throws {
        self.spool = spool
        self.target = target
        withHistory = history
        guard access(spool + "/queue.sqlite", R_OK) == 0 else {
            throw StoreFailure(errno: errno, "cannot read \(spool)/queue.sqlite")
        }
        guard access(target, F_OK) != 0 else { throw StoreFailure(.failed, "\(target) is there already") }
        if access(partial, F_OK) == 0 {
            guard access("\(partial)/\(Self.unfinished)", F_OK) == 0 else {
                throw StoreFailure(.failed, "\(partial) is there already, and is no unfinished backup")
            }
            try FileCopy.remove(partial)
        }
        guard mkdir(partial, 0o700) == 0 else { throw StoreFailure(errno: errno, "cannot make \(partial)") }
        try FileCopy.write("a backup is being made here\n", to: "\(partial)/\(Self.unfinished)")
    }

    /// - Parameter manifest: what `backup.json` is to hold.
    package func run(manifest: (Result) -> String) throws -> Result {
        do {
            var result = try copyQueue()
            if withHistory, access(spool + "/history.sqlite", R_OK) == 0 { try copy("history.sqlite") }
            try copyOthers()
            try takeOutEnded(&result)
            try finish(manifest(result))
            return result
        } catch {
            try? FileCopy.remove(partial)
            throw error
        }
    }

    private func copyQueue() throws -> Result {
        let at = try copy("queue.sqlite")
        var result = Result(at: at)
        try FileCopy.makeFolder(partial + "/content")
        let copy = try opened("queue.sqlite")
        defer { try? copy.close() }
        let live = try Connection(path: spool + "/queue.sqlite", label: "backup", .init(readOnly: true, cache: 2 << 10))
        defer { try? live.close() }
        try each(copy) { id, name in
            result.messages += 1
            guard let name else { return }
            if try FileCopy.link("\(spool)/content/\(name)", to: "\(partial)/content/\(name)") {
                result.linked += 1
            } else if try live.run({ try $0.statement(BackupSQL.exists).bind(1, id).first { _ in true } }) == nil {
                try remove(id, from: copy)
                result.ended += 1
            } else {
                result.missing.append(id)
            }
        }
        return result
    }

    /// Copies a database as it is at one moment; that moment.
    @discardableResult
    private func copy(_ name: String) throws -> Timestamp {
        let source = try Connection(path: "\(spool)/\(name)", label: "backup", .init(readOnly: true, cache: 8 << 10))
        defer { try? source.close() }
        let octets = try source.run { access in
            let pages =
                (try access.integer("PRAGMA page_count") ?? 0) - (try access.integer("PRAGMA freelist_count") ?? 0)
            return pages * (try access.integer("PRAGMA page_size") ?? 0)
        }
        let free = try FileCopy.free(partial)
        guard free > octets else {
            throw StoreFailure(
                .diskFull, "\(name) has \(octets >> 20) MB, and there are \(free >> 20) MB free for \(target)")
        }
        let at = SystemTime().now()
        let path = "\(partial)/\(name)".split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
        try source.run { try $0.execute("VACUUM INTO '\(path)'") }
        try FileCopy.sync("\(partial)/\(name)")
        return at
    }

    private func opened(_ name: String) throws -> Connection {
        try Connection(path: "\(partial)/\(name)", label: "backup", .init(cache: 8 << 10, synchronous: "OFF"))
    }

    /// Calls the body with each message and the name of its content file.
    private func each(_ copy: Connection, _ body: (MessageID, String?) throws -> Void) throws {
        var last = MessageID(value: 0)
        while true {
            var found: [(MessageID, String?)] = []
            try copy.run { access in
                try access.statement(BackupSQL.messages).bind(1, last).bind(2, Self.page).rows { row in
                    var unpacker = row.unpacker(1)
                    // One that cannot be read is copied as it is.
                    let stored = try? unpacker.envelope(id: row.id(0), content: { ByteBuffer() })
                    let content = stored?.message.content
                    if case .file(let name)? = content {
                        found.append((row.id(0), name))
                    } else {
                        found.append((row.id(0), nil))
                    }
                    return true
                }
            }
            guard let id = found.last?.0 else { return }
            last = id
            for (id, name) in found { try body(id, name) }
        }
    }

    private func remove(_ id: MessageID, from copy: Connection) throws {
        try copy.run { access in
            for sql in [BackupSQL.deleteWaiting, .deleteUntold, .deleteMessage] {
                try access.statement(sql).bind(1, id).run()
            }
        }
    }

    /// Whatever else lies in the spool; sockets, locks and logs of databases do not count.
    private func copyOthers() throws {
        for name in try FileCopy.names(in: spool) {
            let isDatabase = name.hasSuffix(".sqlite")
            let isKnown = ["queue.sqlite", "history.sqlite", "lock", Spool.restoring].contains(name)
            let isPassing = ["-wal", "-shm", "-journal", ".unreadable"].contains { name.hasSuffix($0) }
            guard !isKnown, !isPassing, FileCopy.isRegular("\(spool)/\(name)") else { continue }
            if name == "paths.sqlite" {
                try copyHint(name)
            } else if isDatabase {
                try copy(name)
            } else {
                try FileCopy.copy("\(spool)/\(name)", to: "\(partial)/\(name)")
            }
        }
    }

    /// What no mail depends on is left out where it cannot be read: a relay begins it anew.
    private func copyHint(_ name: String) throws {
        do {
            try copy(name)
        } catch let failure as StoreFailure where failure.kind == .diskFull {
            throw failure
        } catch {
            unlink("\(partial)/\(name)")
        }
    }

    /// What ended between the two copies, by the history's.
    private func takeOutEnded(_ result: inout Result) throws {
        guard access(partial + "/history.sqlite", F_OK) == 0 else { return }
        let copy = try opened("queue.sqlite")
        defer { try? copy.close() }
        let history = try Connection(
            path: partial + "/history.sqlite", label: "backup", .init(readOnly: true, cache: 2 << 10))
        defer { try? history.close() }
        var ended: [MessageID] = []
        try each(copy) { id, _ in
            var story = AuditedStory()
            try history.run { access in
                try access.statement(AuditHistorySQL.eventsOf).bind(1, id).rows { row in
                    story.take(row: row)
                    return true
                }
            }
            guard let accepted = story.accepted, accepted.keys.allSatisfy({ story.ends[$0] != nil }) else { return }
            // One whose sender is still to be told stays for that.
            let isUntold = try copy.run { access in
                try access.statement(AuditSQL.untoldOf).bind(1, id).first { _ in true } != nil
            }
            if !isUntold { ended.append(id) }
        }
        for id in ended {
            try remove(id, from: copy)
            let file = "\(partial)/content/\(id)"
            if unlink(file) != 0, errno != ENOENT { throw StoreFailure(errno: errno, "cannot remove \(file)") }
        }
        result.ended += ended.count
        result.messages -= result.ended
    }

    private func finish(_ manifest: String) throws {
        try FileCopy.sync(partial + "/queue.sqlite")
        try FileCopy.sync(partial + "/content")
        try FileCopy.write(manifest + "\n", to: "\(partial)/\(Self.manifest)")
        guard unlink("\(partial)/\(Self.unfinished)") == 0 else {
            throw StoreFailure(errno: errno, "cannot finish \(partial)")
        }
        try FileCopy.sync(partial)
        guard rename(partial, target) == 0 else { throw StoreFailure(errno: errno, "cannot name \(target)") }
        let parent = target.lastIndex(of: "/").map { String(target[..<$0]) } ?? "."
        try FileCopy.sync(parent.isEmpty ? "/" : parent)
    }
}
