import Logging
package import Mail
import Queue
import Synchronization

/// The SQLite file of the history: rows of packed events, keyed by message and a sequence that only grows:
/// milliseconds, so that it need not be read at a start.
final class HistoryFile: Sendable {
    private let path: String
    private let writer: Connection
    private let reader: Connection
    private let time: any TimeSource
    private let sequence = Mutex<Int64>(0)

    /// 64 MiB of log at most.
    private static let checkpointPages = 4_096
    /// Messages that one step of a trim looks at: some 10 ms, so that events do not pile up meanwhile.
    static let trimmed = 1_000

    /// Opens the file; one that cannot be used is renamed and begun anew.
    static func open(_ path: String, time: any TimeSource, log: Logger) throws -> HistoryFile {
        try HintFile.open(path, "history is", log: log) { try HistoryFile(path, time: time, log: log) }
    }

    private init(_ path: String, time: any TimeSource, log: Logger) throws {
        self.path = path
        try Spool.makePrivate(path)
        let writer = try Connection(
            path: path, label: "history", Connection.Setup(writes: true, cache: 8 << 10, synchronous: "NORMAL"))
        let now = time.now()
        let lost = try writer.run { access in
            _ = try access.schema(of: path, upTo: HistorySchema.version)
            return try access.transaction {
                for table in HistorySchema.tables { try access.execute(table) }
                try access.execute("PRAGMA user_version = \(HistorySchema.version)")
                return try Self.begin(access, at: now)
            }
        }
        try writer.run { try $0.execute("PRAGMA wal_autocheckpoint = \(Self.checkpointPages)") }
        if let lost {
            log.notice(
                "the last run ended before its history was written",
                metadata: ["written until": "\(lost.milliseconds)", "now": "\(now.milliseconds)"])
        }
        self.writer = writer
        reader = try Connection(path: path, label: "trace", Connection.Setup(cache: 2 << 10, synchronous: "NORMAL"))
        self.time = time
    }

    /// - Returns: until when events were written, where the last run was cut off: later ones may be lost.
    private static func begin(_ access: Access, at now: Timestamp) throws -> Timestamp? {
        try access.statement(HistorySQL.begin).bind(1, now).run()
        let cut = try access.statement(HistorySQL.run).first { $0.integer(2) == 1 ? $0.time(1) : nil } ?? nil
        if let cut { try note(HistoryGap(began: cut, ended: now, dropped: 0, why: HistoryGap.cutOff), access) }
        try access.statement(HistorySQL.open).bind(1, now).run()
        return cut
    }

    /// Everything was written: what comes next leaves no gap.
    func close() {
        try? writer.run { try $0.statement(HistorySQL.close).run() }
        try? reader.close()
        try? writer.close()
    }

    // MARK: Writing

    /// - Parameter now: when the events were taken; all before it are here afterwards.
    func append(_ events: [TraceEvent], at now: Timestamp) throws {
        let number = sequence.withLock { sequence in
            sequence = max(sequence + 1, now.milliseconds)
            return sequence
        }
        let rows = Dictionary(grouping: events, by: \.message).sorted { $0.key < $1.key }
        try writer.run { access in
            try access.transaction {
                let insert = try access.statement(HistorySQL.insert)
                var packer = Packer()
                for (message, events) in rows {
                    packer.clear()
                    packer.events(events)
                    try insert.bind(1, message).bind(2, number).bind(3, packer.bytes).run()
                }
                try access.statement(HistorySQL.written).bind(1, now).run()
            }
        }
    }

    /// Nothing had to be written until then.
    func idle(at now: Timestamp) throws {
        try writer.run { try $0.statement(HistorySQL.written).bind(1, now).run() }
    }

    func note(_ gap: HistoryGap) throws {
        try writer.run { try Self.note(gap, $0) }
    }

    private static func note(_ gap: HistoryGap, _ access: Access) throws {
        try access.statement(HistorySQL.gap).bind(1, gap.began).bind(2, gap.ended).bind(3, Int64(gap.dropped))
            .bind(4, gap.why).run()
    }

    // MARK: Reading

    func events(of message: MessageID) throws -> [TraceEvent] {
        try reader.run { access in
            var events: [TraceEvent] = []
            try access.statement(HistorySQL.events).bind(1, message).rows { row in
                var unpacker = row.unpacker(0)
                events.append(contentsOf: try unpacker.events(of: message))
                return true
            }
            return events
        }
    }

    /// The messages that came last, the youngest first.
    func youngest(_ limit: Int) throws -> [MessageID] {
        try reader.run { access in
            var found: [MessageID] = []
            var last = MessageID(value: UInt64(Int64.max))
            while found.count < limit,
                let id = try access.statement(HistorySQL.last).bind(1, last).first({ $0.id(0) })
            {
                found.append(id)
                last = id
            }
            return found
        }
    }

    // MARK: Forgetting

    /// What one step of a trim came to.
    struct Trimmed {
        /// Where the next one goes on; nil when there is no more to look at for now.
        var next: MessageID?
        var messages = 0
        /// It cannot be told now what is in the queue.
        var isWaiting = false
    }

    /// Removes the oldest messages' events: of those accepted before a time, and of more where the file is too large.
    /// What is still in the queue keeps them.
    ///
    /// - Parameters:
    ///   - after: what was looked at already.
    ///   - living: which of these messages are still in the queue; nil when that cannot be told now.
    func trim(
        after: MessageID?, before: Timestamp, above size: Int64, living: ([MessageID]) -> Set<MessageID>?
    ) throws -> Trimmed {
        let (candidates, isLast) = try candidates(after: after, before: before, above: size)
        guard let last = candidates.last else {
            try writer.run { try $0.statement(HistorySQL.forgetGaps).bind(1, before).run() }
            return Trimmed()
        }
        guard let living = living(candidates) else { return Trimmed(next: after, isWaiting: true) }
        let doomed = candidates.filter { !living.contains($0) }
        try writer.run { access in
            try access.transaction {
                let forget = try access.statement(HistorySQL.forget)
                for id in doomed { try forget.bind(1, id).run() }
            }
        }
        return Trimmed(next: isLast ? nil : last, messages: doomed.count)
    }

    private func candidates(
        after: MessageID?, before: Timestamp, above size: Int64
    ) throws -> (found: [MessageID], isLast: Bool) {
        try writer.run { access in
            let pages = try access.integer("PRAGMA page_count") ?? 0
            let free = try access.integer("PRAGMA freelist_count") ?? 0
            let isLarge = (pages - free) * (try access.integer("PRAGMA page_size") ?? 0) > size
            var found: [MessageID] = []
            while found.count < Self.trimmed {
                let statement: Prepared
                if let last = found.last ?? after {
                    statement = try access.statement(HistorySQL.next).bind(1, last)
                } else {
                    statement = try access.statement(HistorySQL.first)
                }
                guard let id = try statement.first({ $0.id(0) }), isLarge || id.accepted < before else {
                    return (found, true)
                }
                found.append(id)
            }
            return (found, false)
        }
    }
}

/// A span of which the history does not know everything.
package struct HistoryGap: Sendable, Hashable {
    package var began: Timestamp
    package var ended: Timestamp
    /// Events that are known to be missing; 0 where nobody counted.
    package var dropped: Int
    package var why: String

    static let cutOff = "the relay ended before its history was written"
    static let overload = "events came faster than they could be written"
}
