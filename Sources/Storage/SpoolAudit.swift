import Glibc
package import Mail
import Queue

/// Looks whether every recipient that was accepted has ended exactly once or still waits, from the history and the
/// store alone: it asks neither the queue nor the planner, and reads the files beside a running relay.
///
/// 1. Read history and store side by side in the order of their messages, a page of each at a time.
/// 2. Remember every message that does not add up. While a relay works these are thousands: the history is written
///    after the commit, and the two pages are not of the same moment.
/// 3. Where a relay runs, look at those again after a while, each in one read; what does not add up twice in a row, in
///    the same way, is a finding.
package struct SpoolAudit {
    let store: Connection
    let history: Connection?
    private let folder: String
    let gaps: [HistoryGap]
    /// Since when events are kept; nil without a history.
    let since: Timestamp?
    private let floor: MessageID
    private let isRunning: Bool

    /// Suspects that are looked at again; 24 MB.
    private static let suspects = 500_000
    private static let page: Int64 = 1_000
    /// A file without a row that was not written to for so long is nobody's upload any more.
    private static let uploading = 3_600

    /// - Parameter spool: the folder; it is only read.
    /// - Throws: ``StoreFailure`` when there is no spool, or it cannot be read.
    package init(spool folder: String) throws {
        guard access(folder + "/queue.sqlite", R_OK) == 0 else {
            throw StoreFailure(errno: errno, "cannot read \(folder)/queue.sqlite")
        }
        self.folder = folder
        isRunning = Spool.isHeld(folder)
        store = try Connection(path: folder + "/queue.sqlite", label: "audit", .init(readOnly: true, cache: 8 << 10))
        let version = try store.run { try $0.integer("PRAGMA user_version") ?? 0 }
        guard version == Schema.version else {
            throw StoreFailure(
                .failed,
                "\(folder)/queue.sqlite has schema \(version), and this figaro knows \(Schema.version)"
                    + (version < Schema.version ? "; a start of the relay brings it up to date" : ""))
        }
        floor = try store.run { try $0.statement(AuditSQL.floor).first { $0.id(0) } } ?? MessageID(value: 0)
        guard access(folder + "/history.sqlite", R_OK) == 0 else {
            (history, gaps, since) = (nil, [], nil)
            return
        }
        let history = try Connection(
            path: folder + "/history.sqlite", label: "audit", .init(readOnly: true, cache: 8 << 10))
        self.history = history
        (gaps, since) = try Self.gaps(history, isRunning: isRunning)
    }

    private static func gaps(_ history: Connection, isRunning: Bool) throws -> ([HistoryGap], Timestamp?) {
        try history.run { access in
            let version = try access.integer("PRAGMA user_version") ?? 0
            guard version == HistorySchema.version else {
                throw StoreFailure(
                    .failed, "history.sqlite has schema \(version); start the relay once with this figaro")
            }
            var gaps: [HistoryGap] = []
            try access.statement(AuditHistorySQL.gaps).rows { row in
                gaps.append(
                    HistoryGap(
                        began: row.time(0), ended: row.time(1), dropped: Int(clamping: row.integer(2)),
                        why: row.text(3)))
                return true
            }
            let run = try access.statement(AuditHistorySQL.run).first { ($0.time(0), $0.time(1), $0.integer(2) == 1) }
            // Cut off and not started again: what was not written is lost.
            if let run, run.2, !isRunning {
                let now = max(SystemTime().now(), run.1)
                gaps.append(HistoryGap(began: run.1, ended: now, dropped: 0, why: HistoryGap.cutOff))
            }
            return (gaps, run?.0)
        }
    }

    package func close() {
        try? store.close()
        try? history?.close()
    }

    /// - Parameters:
    ///   - settle: how long to wait before suspects are looked at again. Longer than events gather for the history.
    ///   - found: called with each finding, in order of messages.
    package func run(
        settle: Timestamp.Span = .seconds(5), found: (AuditFinding) -> Void
    ) throws -> AuditSummary {
        var summary = AuditSummary(isRunning: isRunning, since: since, gaps: gaps)
        var suspects = try scan(&summary)
        if isRunning { suspects = try lookAgain(suspects, settle) }
        for suspect in suspects {
            let judged = try judge(suspect.id, rows: rows(of: suspect.id), story: story(of: suspect.id))
            for finding in judged where suspect.kinds.contains(finding.kind) {
                summary.count(finding)
                found(finding)
            }
        }
        for finding in try orphans() {
            summary.count(finding)
            found(finding)
        }
        return summary
    }

    struct Suspect {
        var id: MessageID
        var kinds: Set<AuditFinding.Kind>
    }

    // MARK: The pass over everything

    private func scan(_ summary: inout AuditSummary) throws -> [Suspect] {
        var suspects: [Suspect] = []
        var tables = Tables(self)
        while let id = try tables.nextID() {
            let rows = try tables.rows(id)
            let story = try tables.story(id)
            summary.count(rows, story)
            let kinds = Set(try judge(id, rows: rows, story: story).map(\.kind))
            if kinds.isEmpty { continue }
            guard suspects.count < Self.suspects else {
                throw StoreFailure(.failed, "more than \(Self.suspects) messages do not add up; is it the right spool?")
            }
            suspects.append(Suspect(id: id, kinds: kinds))
        }
        return suspects
    }

    /// The four tables, read side by side.
    private struct Tables {
        private struct Untold {
            var id: MessageID
            var domain: String
            var local: String
            var kind: Int64
        }

        private var messages: AuditPages<(id: MessageID, rows: AuditedRows)>
        private var waiting: AuditPages<(id: MessageID, domain: String, rows: AuditedRows)>
        private var untold: AuditPages<(id: MessageID, key: Untold, rows: AuditedRows)>
        private var events: AuditPages<(id: MessageID, sequence: Int64, story: [TraceEvent], unreadable: String?)>

        init(_ audit: SpoolAudit) {
            let (store, history) = (audit.store, audit.history)
            messages = AuditPages { last in
                try store.all(AuditSQL.messages, { $0.bind(1, last?.id ?? MessageID(value: 0)).bind(2, page) }) { row in
                    var rows = AuditedRows()
                    rows.take(message: row)
                    return (row.id(0), rows)
                }
            }
            waiting = AuditPages { last in
                try store.all(
                    AuditSQL.waiting,
                    { $0.bind(1, last?.id ?? MessageID(value: 0)).bind(2, last?.domain ?? "").bind(3, page) }
                ) { row in
                    var rows = AuditedRows()
                    rows.take(waiting: row)
                    return (row.id(0), row.text(1), rows)
                }
            }
            untold = AuditPages { last in
                let key = last?.key
                return try store.all(
                    AuditSQL.untold,
                    {
                        $0.bind(1, key?.id ?? MessageID(value: 0)).bind(2, key?.domain ?? "").bind(3, key?.local ?? "")
                            .bind(4, key?.kind ?? -1).bind(5, page)
                    }
                ) { row in
                    var rows = AuditedRows()
                    rows.take(untold: row)
                    let key = Untold(id: row.id(0), domain: row.text(1), local: row.text(2), kind: row.integer(3))
                    return (key.id, key, rows)
                }
            }
            events = AuditPages { last in
                guard let history else { return [] }
                return try history.all(
                    AuditHistorySQL.events,
                    { $0.bind(1, last?.id ?? MessageID(value: 0)).bind(2, last?.sequence ?? .min).bind(3, page) }
                ) { row in
                    do {
                        var unpacker = row.unpacker(2)
                        return (row.id(0), row.integer(1), try unpacker.events(of: row.id(0)), nil)
                    } catch {
                        return (row.id(0), row.integer(1), [], "\(error)")
                    }
                }
            }
        }

        /// The lowest message that any table goes on with.
        mutating func nextID() throws -> MessageID? {
            let heads = [try messages.peek()?.id, try waiting.peek()?.id, try untold.peek()?.id, try events.peek()?.id]
            return heads.compactMap(\.self).min()
        }

        mutating func rows(_ id: MessageID) throws -> AuditedRows {
            var found = AuditedRows()
            if try messages.peek()?.id == id, let row = try messages.next() { found = row.rows }
            while try waiting.peek()?.id == id, let row = try waiting.next() { found.join(row.rows) }
            while try untold.peek()?.id == id, let row = try untold.next() { found.join(row.rows) }
            return found
        }

        mutating func story(_ id: MessageID) throws -> AuditedStory {
            var story = AuditedStory()
            while try events.peek()?.id == id, let row = try events.next() {
                for event in row.story { story.take(event) }
                story.unreadable = story.unreadable ?? row.unreadable
            }
            return story
        }
    }

    // MARK: Looking again

    /// Three times at most: what is in order is dropped, and so is what is wrong in another way each time.
    private func lookAgain(_ suspects: [Suspect], _ settle: Timestamp.Span) throws -> [Suspect] {
        var suspects = suspects
        for _ in 0..<3 where !suspects.isEmpty {
            usleep(UInt32(clamping: settle.milliseconds * 1_000))
            suspects = try suspects.compactMap { suspect in
                let kinds = Set(
                    try judge(suspect.id, rows: rows(of: suspect.id), story: story(of: suspect.id)).map(\.kind))
                let same = kinds.intersection(suspect.kinds)
                return same.isEmpty ? nil : Suspect(id: suspect.id, kinds: same)
            }
        }
        return suspects
    }

    /// The store first: what has ended by then is in the history a moment later, not before.
    private func rows(of id: MessageID) throws -> AuditedRows {
        try store.run { access in
            // One moment of all three tables.
            try access.execute("BEGIN DEFERRED")
            defer { try? access.execute("COMMIT") }
            var rows = AuditedRows()
            try access.statement(AuditSQL.message).bind(1, id).rows { row in
                rows.take(message: row)
                return true
            }
            try access.statement(AuditSQL.waitingOf).bind(1, id).rows { row in
                rows.take(waiting: row)
                return true
            }
            try access.statement(AuditSQL.untoldOf).bind(1, id).rows { row in
                rows.take(untold: row)
                return true
            }
            return rows
        }
    }

    private func story(of id: MessageID) throws -> AuditedStory {
        guard let history else { return AuditedStory() }
        return try history.run { access in
            var story = AuditedStory()
            try access.statement(AuditHistorySQL.eventsOf).bind(1, id).rows { row in
                story.take(row: row)
                return true
            }
            return story
        }
    }

    // MARK: Content

    /// Whether the file that a row names is there; its row is read again before it is missed.
    func isMissing(_ name: String, of id: MessageID) throws -> Bool {
        guard access("\(folder)/content/\(name)", F_OK) != 0 else { return false }
        return try store.run { try $0.statement(AuditSQL.message).bind(1, id).first { _ in true } } != nil
    }

    /// Files that no row names. Beside a running relay those that may still be written do not count.
    private func orphans() throws -> [AuditFinding] {
        guard let stream = opendir(folder + "/content") else { return [] }
        defer { closedir(stream) }
        var found: [AuditFinding] = []
        let limit = time(nil) - Self.uploading
        while let entry = readdir(stream), found.count < Self.suspects {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let id = MessageID(name) else { continue }
            var status = stat()
            guard lstat("\(folder)/content/\(name)", &status) == 0, !isRunning || status.st_mtim.tv_sec < limit,
                try rows(of: id).file != name
            else { continue }
            found.append(
                AuditFinding(
                    kind: .contentOrphaned, message: id, recipients: [],
                    // A crash leaves such files as a rule, and the next start removes them.
                    excuse: isRunning ? nil : "no relay runs, and the next start removes it"))
        }
        return found.sorted { $0.message < $1.message }
    }

    func isStranded(_ id: MessageID) -> Bool { id < floor }
}

extension AuditedRows {
    fileprivate mutating func join(_ other: AuditedRows) {
        waiting.formUnion(other.waiting)
        told.formUnion(other.told)
        hasWaiting = hasWaiting || other.hasWaiting
        hasUntold = hasUntold || other.hasUntold
        unreadable = unreadable ?? other.unreadable
    }
}

extension Connection {
    /// All rows that a statement gives, made into something else.
    fileprivate func all<Row>(
        _ sql: some KeptStatement, _ bind: (Prepared) -> Prepared, _ make: (Prepared) -> Row
    ) throws -> [Row] {
        try run { access in
            var found: [Row] = []
            try bind(try access.statement(sql)).rows { row in
                found.append(make(row))
                return true
            }
            return found
        }
    }
}
