package import Logging
package import Mail
import NIOCore
import Queue
import Synchronization

/// Keeps what was learned about receivers and the ways to them over restarts: `paths.sqlite` of the spool.
///
/// What the rows mean is their owner's business. They are hints, not truth: written together a second after they
/// changed, so that a power cut may lose that second; a full disk costs what was learned meanwhile; and a file that
/// cannot be read is set aside and begun anew. No mail waits for any of it.
package final class PathStore: Sendable {
    private let time: any TimeSource
    private let log: Logger
    private let configuration: Configuration
    private let file: PathFile
    private let state: Mutex<State>
    private let bell = Bell()

    package struct Configuration: Sendable, Hashable {
        /// How long changes gather; the later of two about the same thing is written.
        package var gather = Timestamp.Span.seconds(1)
        /// Rows of the file. At some 200 octets these are 40 MB; what would be forgotten first gives way.
        package var rows = 200_000
        /// Changes that may wait while the disk takes none; what comes beyond them is not kept.
        package var pending = 50_000
        /// How often what has expired is removed.
        package var trimEvery = Timestamp.Span.minutes(1)

        package init() {}
    }

    /// Names one row.
    package struct Key: Sendable, Hashable {
        package var receiver: String
        /// What it is about, in its owner's numbering.
        package var kind: UInt8
        /// Which of that kind.
        package var name: String

        package init(receiver: String, kind: UInt8, name: String) {
            self.receiver = receiver
            self.kind = kind
            self.name = name
        }
    }

    package struct Row: Sendable, Hashable {
        package var key: Key
        package var value: [UInt8]
        /// From then on it means nothing.
        package var expires: Timestamp

        package init(key: Key, value: [UInt8], expires: Timestamp) {
            self.key = key
            self.value = value
            self.expires = expires
        }
    }

    package enum Change: Sendable, Hashable {
        case keep(Row)
        case forget(Key)
    }

    private struct State {
        var kept: [Row]
        /// nil: to be forgotten.
        var pending: [Key: Row?] = [:]
        /// Changes that there was no room for.
        var lost = 0
        var stopping = false
        var thread: OwnThread?
    }

    /// - Throws: ``StoreFailure`` when there can be no such file at all.
    package init(
        spool: Spool, time: any TimeSource = SystemTime(), logger: Logger,
        configuration: Configuration = Configuration()
    ) throws {
        self.time = time
        self.configuration = configuration
        log = logger
        let opened = try PathFile.open(spool.pathsPath, limit: configuration.rows, at: time.now(), log: logger)
        file = opened.file
        state = Mutex(State(kept: opened.rows))
        let thread = try OwnThread(name: "figaro-paths") { [self] in run() }
        state.withLock { $0.thread = thread }
    }

    /// What the file held when it was opened, without what had expired; given out once.
    package func takeKept() -> [Row] {
        state.withLock { state in
            defer { state.kept = [] }
            return state.kept
        }
    }

    /// Changes that were not kept because too many waited.
    package var lost: Int { state.withLock { $0.lost } }

    /// Never blocks.
    package func note(_ changes: [Change]) {
        guard !changes.isEmpty else { return }
        state.withLock { state in
            for change in changes {
                let (key, row): (Key, Row?) =
                    switch change {
                    case .keep(let row): (row.key, row)
                    case .forget(let key): (key, nil)
                    }
                if state.pending.count < configuration.pending || state.pending.keys.contains(key) {
                    state.pending.updateValue(row, forKey: key)
                } else {
                    state.lost += 1
                }
            }
        }
    }

    /// Writes what waits and ends the thread. Blocks.
    package func stop() {
        let thread = state.withLock { state in
            state.stopping = true
            return state.thread
        }
        bell.ring()
        thread?.join()
        file.close()
    }

    private func run() {
        var nextTrim = NIODeadline.now() + configuration.trimEvery.amount
        var isFailing = false
        while true {
            bell.wait(nanoseconds: configuration.gather.amount.nanoseconds)
            let stopping = state.withLock { $0.stopping }
            do {
                try writePending()
                if nextTrim <= .now() {
                    let hasMore = try file.trim(limit: configuration.rows, at: time.now())
                    nextTrim = hasMore ? .now() : .now() + configuration.trimEvery.amount
                }
                if isFailing { log.notice("what is learned about receivers is kept again") }
                isFailing = false
            } catch {
                if !isFailing {
                    log.error("what is learned about receivers is not kept now", metadata: ["error": "\(error)"])
                }
                isFailing = true
            }
            if stopping { return }
        }
    }

    private func writePending() throws {
        let taken = state.withLock { state in
            defer { state.pending = [:] }
            return state.pending
        }
        guard !taken.isEmpty else { return }
        do {
            try file.write(taken)
        } catch {
            // What came meanwhile is younger.
            state.withLock { $0.pending.merge(taken) { younger, _ in younger } }
            throw error
        }
    }
}

extension Timestamp.Span {
    fileprivate var amount: TimeAmount { .milliseconds(milliseconds) }
}
