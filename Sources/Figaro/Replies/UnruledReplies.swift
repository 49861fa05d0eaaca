import Dispatch
import Glibc
import Logging
import Mail
import Synchronization

/// Counts what receivers said that no rule of the file read: the rule file's to-do list.
///
/// Replies are counted by their shape, so that those that differ in an address or an id are one. The table is bounded
/// and lies in the spool; it is written every half minute, so that a crash forgets that much of it.
final class UnruledReplies: TraceSink {
    struct Entry: Codable, Sendable, Hashable {
        var shape: ReplyShape
        var phase: String
        /// What the enhanced status, the code or the phase made of it.
        var cause: String
        var count: Int
        /// Milliseconds since 1970.
        var last: Int64
        /// Of the last one.
        var site: String
        var reply: String
    }

    private struct Key: Hashable {
        let shape: ReplyShape
        let phase: String
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var isChanged = false
    }

    /// A reply's shape and text take 1 KB at most, so this much is read in a moment.
    static let limit = 1_000
    private static let textLimit = 500
    private static let writeEvery = 30

    private let path: String
    private let logger: Logger
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "unruled replies")

    /// - Parameter folder: the spool.
    init(folder: String, logger: Logger) {
        path = folder + "/unruled-replies.json"
        self.logger = logger
        read()
        writeLater()
    }

    /// Writes what is known a last time. Blocks.
    func stop() {
        queue.sync { write() }
    }

    func record(_ events: [TraceEvent]) {
        for case .attempted(let attempt) in events {
            guard let rule = attempt.rule, rule.hasPrefix("base:"), let reply = attempt.reply else { continue }
            count(reply, attempt)
        }
    }

    /// The most frequent ones first.
    func entries() -> [Entry] {
        state.withLock { Array($0.entries.values) }.sorted { ($0.count, $0.last) > ($1.count, $1.last) }
    }

    /// Forgets those that `isRead` says a rule reads by now.
    func forget(where isRead: (Entry) -> Bool) {
        let read = entries().filter(isRead).map { Key(shape: $0.shape, phase: $0.phase) }
        guard !read.isEmpty else { return }
        state.withLock { state in
            for key in read { state.entries[key] = nil }
            state.isChanged = true
        }
    }

    private func count(_ reply: Reply, _ attempt: TraceEvent.Attempt) {
        let key = Key(shape: ReplyShape(of: reply), phase: attempt.phase.description)
        let said = String(reply.description.prefix(Self.textLimit))
        state.withLock { state in
            if state.entries[key] == nil {
                if state.entries.count >= Self.limit { Self.makeRoom(&state.entries) }
                state.entries[key] = Entry(
                    shape: key.shape, phase: key.phase, cause: "", count: 0, last: 0, site: "", reply: "")
            }
            state.entries[key]?.count &+= 1
            state.entries[key]?.last = attempt.at.milliseconds
            state.entries[key]?.cause = (attempt.cause ?? .unknown).rawValue
            state.entries[key]?.site = String(attempt.site.prefix(Self.textLimit))
            state.entries[key]?.reply = said
            state.isChanged = true
        }
    }

    /// The rarest goes, of those the one not seen for longest: a receiver that never says the same twice drives out
    /// only its like.
    private static func makeRoom(_ entries: inout [Key: Entry]) {
        let rarest = entries.min { ($0.value.count, $0.value.last) < ($1.value.count, $1.value.last) }
        if let rarest { entries[rarest.key] = nil }
    }

    // MARK: The file

    private func read() {
        guard let text = SmallFile.read(path) else { return }
        var entries: [Key: Entry] = [:]
        for line in text.split(separator: "\n").prefix(Self.limit) {
            guard let entry = JSONLine.value(Entry.self, from: String(line)) else { continue }
            entries[Key(shape: entry.shape, phase: entry.phase)] = entry
        }
        state.withLock { $0.entries = entries }
    }

    private func writeLater() {
        queue.asyncAfter(deadline: .now() + .seconds(Self.writeEvery)) { [weak self] in
            self?.write()
            self?.writeLater()
        }
    }

    private func write() {
        let entries = state.withLock { state -> [Entry]? in
            defer { state.isChanged = false }
            return state.isChanged ? Array(state.entries.values) : nil
        }
        guard let entries else { return }
        let text = entries.map { JSONLine.text($0) + "\n" }.joined()
        if let reason = SmallFile.replace(path, with: text) {
            state.withLock { $0.isChanged = true }
            logger.warning("counts of unruled replies not written", metadata: ["reason": "\(reason)"])
        }
    }
}

/// A file that is read and replaced as a whole.
private enum SmallFile {
    /// More than the table ever takes.
    private static let limit = 8 << 20

    /// nil when there is none, or it cannot be read.
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A crash leaves the old file or the new one. Returns why it failed.
    static func replace(_ path: String, with text: String) -> String? {
        let new = path + ".new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return String(cString: strerror(errno)) }
        var isWritten = true
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    isWritten = false
                    return
                }
                done += count
            }
        }
        isWritten = isWritten && fsync(file) == 0
        let code = errno
        close(file)
        guard isWritten else { return String(cString: strerror(code)) }
        return rename(new, path) == 0 ? nil : String(cString: strerror(errno))
    }
}
