import GRDBSQLite
import Logging
import Queue
import Synchronization

/// Moves what the log has gathered into the database file, on a thread and a connection of its own, and bounds the log.
///
/// 1. When the log has grown by ``soft`` frames, copy all of it while commits go on.
/// 2. Hold the writer off for the few frames that came meanwhile, so that the log is copied to its end and the next
///    commit begins it anew; otherwise a busy log would never be begun anew.
/// 3. Should the log reach ``hard`` frames all the same, the next commit waits for a checkpoint.
final class Checkpointer: Sendable {
    private let connection: Connection
    private let log: Logger
    private let syncs: SyncFigures
    private let size = LogSize()
    private let bell = Bell()
    /// Held by whoever writes or makes the second step of a checkpoint.
    private let gate = Mutex(())
    private let state = Mutex(State())

    private struct State {
        var thread: OwnThread?
        var stopping = false
        /// A checkpoint failed: what is in the database file is not known.
        var failure: StoreFailure?
    }

    /// Frames of 4 KiB and some octets. 32 MiB: at full load a checkpoint every second, each page written once in it.
    private static let soft = 8_192
    /// Octets that the log has when it is checkpointed in time, with a quarter more for what comes meanwhile.
    static let usualSize = soft * 5 / 4 * (4_096 + 24)
    /// 256 MiB, which is also what the disk must have room for.
    private static let hard = 65_536

    init(path: String, writer: Connection, syncs: SyncFigures, log: Logger) throws {
        connection = try Connection(path: path, label: "checkpoint", Connection.Setup(cache: 256))
        self.log = log
        self.syncs = syncs
        try size.follow(writer)
    }

    func start() throws {
        let thread = try OwnThread(name: "figaro-check") { [self] in run() }
        state.withLock { $0.thread = thread }
    }

    func stop() {
        let thread = state.withLock { state in
            state.stopping = true
            return state.thread
        }
        bell.ring()
        thread?.join()
        do {
            try connection.close()
        } catch {
            log.error("connection not closed cleanly", metadata: ["error": "\(error)"])
        }
    }

    /// Lets the body write while no checkpoint needs the log to stand still.
    func holdingOff<Result>(_ body: () throws -> Result) throws -> Result {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        if size.frames >= Self.hard { try checkpoint(SQLITE_CHECKPOINT_PASSIVE) }
        // No callback, log or await happens under this lock, only the writing itself.
        let result = try gate.withLock { _ in try body() }
        if size.isLarge(Self.soft) { bell.ring() }
        return result
    }

    /// A checkpoint is due or under way.
    var isBehind: Bool { size.isLarge(Self.soft) }

    /// Copies everything, syncs it, and empties the log. Nobody else may be writing.
    func truncate() throws {
        try checkpoint(SQLITE_CHECKPOINT_TRUNCATE)
    }

    private func run() {
        while !state.withLock({ $0.stopping }) {
            bell.wait(nanoseconds: .max)
            guard size.isLarge(Self.soft), !state.withLock({ $0.stopping }) else { continue }
            do {
                try checkpoint(SQLITE_CHECKPOINT_PASSIVE)
                try gate.withLock { _ in
                    try checkpoint(SQLITE_CHECKPOINT_PASSIVE)
                    size.checkpointed()
                }
            } catch {
                let failure = error as? StoreFailure ?? StoreFailure(.failed, "\(error)")
                state.withLock { $0.failure = failure }
                return
            }
        }
    }

    private func checkpoint(_ mode: Int32) throws {
        syncs.add(.checkpoint)
        try connection.run { access in
            let handle = access.handle
            let code = sqlite3_wal_checkpoint_v2(handle, nil, mode, nil, nil)
            // Busy: a reader still needs the log's end, or another checkpoint runs. The next one copies the rest.
            guard code == SQLITE_OK || (code == SQLITE_BUSY && mode == SQLITE_CHECKPOINT_PASSIVE) else {
                throw StoreFailure(code: code, "checkpoint failed: \(String(cString: sqlite3_errmsg(handle)))")
            }
        }
    }
}

/// How many frames the log holds, as SQLite says after each commit.
final class LogSize: Sendable {
    private let count = Atomic<Int>(0)
    private let base = Atomic<Int>(0)

    var frames: Int { count.load(ordering: .relaxed) }

    /// Grown by that much since the last checkpoint; where that could not empty the log, by that much more.
    func isLarge(_ limit: Int) -> Bool {
        let frames = frames
        let base = base.load(ordering: .relaxed)
        return frames - min(base, frames) >= limit
    }

    /// Nobody may be writing.
    func checkpointed() { base.store(frames, ordering: .relaxed) }

    func committed(frames: Int) {
        let before = count.exchange(frames, ordering: .relaxed)
        // The log was begun anew; reckoned from the old base it would grow to twice the limit.
        if frames < before { base.store(0, ordering: .relaxed) }
    }

    /// The connection must not outlive this object.
    func follow(_ writer: Connection) throws {
        let context = Unmanaged.passUnretained(self).toOpaque()
        try writer.run { access in
            _ = sqlite3_wal_hook(
                access.handle,
                { context, _, _, frames in
                    guard let context else { return SQLITE_OK }
                    let size = Unmanaged<LogSize>.fromOpaque(context).takeUnretainedValue()
                    size.committed(frames: Int(frames))
                    return SQLITE_OK
                }, context)
        }
    }
}
