import Foundation
import Glibc
import Mail
import Queue
import Synchronization

/// Writes the log on a thread of its own, many lines with one write(2), so that neither a slow terminal nor a full pipe
/// ever stands in the way of mail.
///
/// What does not fit into its bounded queue is dropped and counted, and the count is logged.
final class LogWriter: Sendable {
    enum Item: Sendable {
        case line([UInt8])
        case events([TraceEvent])
    }

    private struct State {
        var waiting: [Item] = []
        /// Lines and events.
        var count = 0
        var dropped = 0
        var droppedInAll = 0
        var isStopping = false
    }

    /// At 15,000 lines a second these are three seconds; a line takes some 400 octets, an event some 600.
    private static let limit = 50_000
    /// Long enough to gather a batch under load, too short to be noticed by anyone who reads along.
    private static let gather: UInt32 = 5_000
    /// Octets: one write for some hundred lines, and no more memory than that.
    private static let batch = 128 << 10

    /// Lines that are kept to be shown; trace events are not among them. 1 MB at most, a line is seldom longer.
    private static let kept = 1_000
    private static let keptOctets = 1_000

    let format: LogSettings.Format
    private let latest = Mutex([[UInt8]]())
    private let file: Int32
    private let time: any TimeSource
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let finished = DispatchSemaphore(value: 0)

    /// - Parameter file: an open descriptor that stays the caller's.
    init(file: Int32 = STDERR_FILENO, format: LogSettings.Format = .logfmt, time: any TimeSource = SystemTime()) {
        self.file = file
        self.format = format
        self.time = time
        let thread = Thread {
            ThreadName.set("figaro-log")
            self.run()
        }
        thread.start()
    }

    /// Never blocks.
    func enqueue(_ item: Item) {
        let size =
            switch item {
            case .line: 1
            case .events(let events): events.count
            }
        let isFirst = state.withLock { state in
            guard !state.isStopping, state.count + size <= Self.limit else {
                state.dropped += size
                state.droppedInAll += size
                return false
            }
            state.waiting.append(item)
            state.count += size
            return state.waiting.count == 1
        }
        if isFirst { wake.signal() }
    }

    /// Lines that were lost since the start.
    var droppedInAll: Int { state.withLock { $0.droppedInAll } }

    /// The last lines of the log but those of trace events, each with its end.
    var recent: [String] { latest.withLock { $0.map { String(decoding: $0, as: UTF8.self) } } }

    private func keep(_ line: [UInt8]) {
        latest.withLock { latest in
            if latest.count == Self.kept { latest.removeFirst() }
            latest.append(line.count > Self.keptOctets ? Array(line.prefix(Self.keptOctets)) + [10] : line)
        }
    }

    /// Writes what waits and ends the thread. Blocks.
    func stop() {
        let wasStopping = state.withLock { state in
            defer { state.isStopping = true }
            return state.isStopping
        }
        guard !wasStopping else { return }
        wake.signal()
        finished.wait()
    }

    private func run() {
        var isStopping = false
        // Made once: pages of a new one would have to be cleared by the system 200 times a second.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.batch + 4_096)
        while !isStopping {
            wake.wait()
            if !state.withLock({ $0.isStopping }) { usleep(Self.gather) }
            let (items, dropped): ([Item], Int)
            (items, dropped, isStopping) = state.withLock { state in
                defer {
                    state.waiting = []
                    state.count = 0
                    state.dropped = 0
                }
                return (state.waiting, state.dropped, state.isStopping)
            }
            write(items, dropped, &bytes)
        }
        finished.signal()
    }

    private func write(_ items: [Item], _ dropped: Int, _ bytes: inout [UInt8]) {
        for item in items {
            switch item {
            case .line(let line):
                bytes += line
                keep(line)
            case .events(let events):
                for event in events {
                    EventLine.append(event, format, to: &bytes)
                    if bytes.count >= Self.batch { write(&bytes) }
                }
            }
            if bytes.count >= Self.batch { write(&bytes) }
        }
        if dropped > 0 {
            var line = LogLine(format)
            line.add("time", time.now())
            line.add("level", "warning")
            line.add("event", "log lines dropped")
            line.add("count", dropped)
            line.end()
            bytes += line.bytes
        }
        write(&bytes)
    }

    /// Writes and empties; a log that cannot be written is lost, because nothing may wait for it.
    private func write(_ bytes: inout [UInt8]) {
        var start = 0
        while start < bytes.count {
            let written = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress.map { $0 + start }, $0.count - start)
            }
            if written > 0 {
                start += written
            } else if written < 0, errno == EINTR {
                continue
            } else if written < 0, errno == EAGAIN {
                usleep(Self.gather)
            } else {
                break
            }
        }
        bytes.removeAll(keepingCapacity: true)
    }
}
