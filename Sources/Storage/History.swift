package import Logging
package import Mail
import NIOCore
import Queue
import Synchronization

/// What happened to each message, in a SQLite file of its own: written in big batches, never in a commit's way.
///
/// It is not truth: a full queue drops events and counts them, a power cut may lose the last seconds, and a file that
/// cannot be read is set aside and begun anew. No mail waits for any of it.
package final class History: TraceSink {
    private let time: any TimeSource
    private let log: Logger
    private let configuration: Configuration
    private let state = Mutex(State())
    private let bell = Bell()
    private let file: HistoryFile

    package struct Configuration: Sendable {
        /// Events older than this are removed.
        package var keep = Timestamp.Span.days(30)
        /// Octets of the file above which the oldest events are removed.
        package var maximumSize: Int64 = 2 << 30
        /// Events that may wait for the writer; beyond it they are dropped and counted.
        package var pendingEvents = 50_000
        /// How long events gather. Most messages live shorter than that, so that all of one message's events make one
        /// row.
        package var gather = Timestamp.Span.seconds(2)

        package init() {}
    }

    private struct State {
        var pending: [TraceEvent] = []
        var dropped = 0
        var stopping = false
        /// Taken by the thread and not yet in the file.
        var writing: [TraceEvent] = []
        var thread: OwnThread?
    }

    package init(
        spool: Spool, time: any TimeSource = SystemTime(), logger: Logger,
        configuration: Configuration = Configuration()
    ) throws {
        self.time = time
        self.configuration = configuration
        log = logger
        file = try HistoryFile.open(spool.historyPath, time: time, log: logger)
        let thread = try OwnThread(name: "figaro-history") { [self] in run() }
        state.withLock { $0.thread = thread }
    }

    /// Events dropped since the start because too many waited.
    package var dropped: Int { state.withLock { $0.dropped } }

    /// Never blocks.
    package func record(_ events: [TraceEvent]) {
        let full = state.withLock { state in
            let room = max(0, configuration.pendingEvents - state.pending.count)
            state.pending.append(contentsOf: events.prefix(room))
            state.dropped += max(0, events.count - room)
            return state.pending.count >= configuration.pendingEvents / 4
        }
        if full { bell.ring() }
    }

    /// What is known of a message, in order. Blocks: not for an event loop or the cooperative pool.
    package func events(of message: MessageID) throws -> [TraceEvent] {
        // In this order an event that is being written meanwhile is seen twice rather than not at all.
        let waiting = state.withLock { state in (state.pending + state.writing).filter { $0.message == message } }
        var events = try file.events(of: message)
        for event in waiting where !events.contains(event) { events.append(event) }
        return events
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
        var lastDropped = 0
        var nextTrim = NIODeadline.now()
        while true {
            let stopping = state.withLock { $0.stopping }
            if !stopping { bell.wait(nanoseconds: configuration.gather.milliseconds * 1_000_000) }
            attempt("write") { try writePending() }
            if nextTrim <= .now() {
                attempt("trim") {
                    let more = try file.trim(
                        before: Timestamp(milliseconds: time.now().milliseconds - configuration.keep.milliseconds),
                        above: configuration.maximumSize)
                    nextTrim = .now() + (more ? .milliseconds(0) : .minutes(1))
                }
            }
            let dropped = dropped
            if dropped > lastDropped {
                log.warning("history cannot keep up", metadata: ["events dropped": "\(dropped - lastDropped)"])
                lastDropped = dropped
            }
            if stopping { return }
        }
    }

    private func writePending() throws {
        let events = state.withLock { state in
            swap(&state.writing, &state.pending)
            return state.writing
        }
        defer { state.withLock { $0.writing = [] } }
        if !events.isEmpty { try file.append(events) }
    }

    private func attempt(_ part: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            log.error("history failed", metadata: ["part": "\(part)", "error": "\(error)"])
        }
    }
}
