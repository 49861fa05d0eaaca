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
    private let living: Living

    package struct Configuration: Sendable, Hashable {
        /// Events of messages that came longer ago than this are removed.
        package var keep = Timestamp.Span.days(14)
        /// Octets of the file above which the oldest messages' events are removed.
        package var maximumSize: Int64 = 10 << 30
        /// How often it is looked whether anything is to be removed.
        package var trimEvery = Timestamp.Span.minutes(1)
        /// Between two steps of a removal. With what a step removes these are 20,000 messages a second at most, several
        /// times as many as come.
        package var trimPause = Timestamp.Span(milliseconds: 50)
        /// Events that may wait for the writer; beyond it they are dropped and counted.
        package var pendingEvents = 50_000
        /// How long events gather. Most messages live shorter than that, so that all of one message's events make one
        /// row.
        package var gather = Timestamp.Span.seconds(2)

        package init() {}
    }

    /// Which of some messages are still in the queue; nil when that cannot be told at this moment.
    package typealias Living = @Sendable ([MessageID]) -> Set<MessageID>?

    private struct State {
        var pending: [TraceEvent] = []
        var dropped = 0
        var stopping = false
        /// Taken by the thread and not yet in the file.
        var writing: [TraceEvent] = []
        var thread: OwnThread?
    }

    /// - Parameter living: what is in the queue keeps its events, whatever their age.
    package init(
        spool: Spool, time: any TimeSource = SystemTime(), logger: Logger,
        configuration: Configuration = Configuration(), living: @escaping Living = { _ in [] }
    ) throws {
        self.time = time
        self.configuration = configuration
        self.living = living
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
        let waiting = state.withLock { state in (state.writing + state.pending).filter { $0.message == message } }
        var events = try file.events(of: message)
        for event in waiting where !events.contains(event) { events.append(event) }
        return events
    }

    /// The messages that came last, the youngest first. Blocks as ``events(of:)`` does.
    package func youngest(_ limit: Int) throws -> [MessageID] {
        let waiting = state.withLock { state in Set((state.pending + state.writing).map(\.message)) }
        return Array(waiting.union(try file.youngest(limit)).sorted(by: >).prefix(max(0, limit)))
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

    /// Events are written when they have gathered, or when many wait; between that a trim goes on step by step.
    private func run() {
        var progress = Progress(lastTaken: time.now())
        while true {
            let (stopping, isFull) = state.withLock { state in
                (state.stopping, state.pending.count >= configuration.pendingEvents / 4)
            }
            if stopping || isFull || progress.nextWrite <= .now() {
                attempt("write") { try writePending(&progress) }
                progress.nextWrite = .now() + configuration.gather.amount
            }
            if stopping { return }
            if progress.nextTrim <= .now() { attempt("trim") { try trim(&progress) } }
            let wake = min(progress.nextWrite, progress.nextTrim)
            bell.wait(nanoseconds: (wake - .now()).nanoseconds)
        }
    }

    /// What the thread knows of its own work.
    private struct Progress {
        var nextWrite = NIODeadline.now()
        var nextTrim = NIODeadline.now()
        /// Where the trim goes on.
        var trimmed: MessageID?
        var dropped = 0
        var lastTaken: Timestamp
    }

    /// How long the file may say that everything until then was written, while nothing happens.
    private static let idle = Timestamp.Span.seconds(30)

    private func writePending(_ progress: inout Progress) throws {
        let now = time.now()
        let (events, dropped) = state.withLock { state in
            swap(&state.writing, &state.pending)
            return (state.writing, state.dropped)
        }
        defer { state.withLock { $0.writing = [] } }
        if dropped > progress.dropped {
            let lost = dropped - progress.dropped
            progress.dropped = dropped
            log.warning("history cannot keep up", metadata: ["events dropped": "\(lost)"])
            try file.note(
                HistoryGap(began: progress.lastTaken, ended: now, dropped: lost, why: HistoryGap.overload))
        }
        if !events.isEmpty {
            do {
                try file.append(events, at: now)
            } catch {
                state.withLock { $0.dropped += events.count }
                throw error
            }
        } else if now - progress.lastTaken >= Self.idle {
            try file.idle(at: now)
        } else {
            return
        }
        progress.lastTaken = now
    }

    private func trim(_ progress: inout Progress) throws {
        progress.nextTrim = .now() + configuration.trimEvery.amount
        let oldest = time.now().milliseconds.subtractingReportingOverflow(configuration.keep.milliseconds).partialValue
        let step = try file.trim(
            after: progress.trimmed, before: Timestamp(milliseconds: oldest), above: configuration.maximumSize,
            living: living)
        progress.trimmed = step.next
        if step.isWaiting {
            progress.nextTrim = .now() + min(configuration.trimEvery, .seconds(1)).amount
        } else if step.next != nil {
            progress.nextTrim = .now() + configuration.trimPause.amount
        }
    }

    private func attempt(_ part: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            log.error("history failed", metadata: ["part": "\(part)", "error": "\(error)"])
        }
    }
}

extension Timestamp.Span {
    fileprivate var amount: TimeAmount { .milliseconds(milliseconds) }
}
