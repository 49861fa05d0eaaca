import Glibc
import Queue
import Synchronization

/// The folder in which everything lies that must survive: `queue.sqlite`, `history.sqlite`, `paths.sqlite`,
/// `accounts.sqlite`, `content/`.
///
/// Held by one process at a time: two that deliver from one spool would deliver everything twice.
package final class Spool: Sendable {
    /// Absolute.
    package let path: String
    package let syncs = SyncFigures()
    package var contentPath: String { path + "/content" }
    var queuePath: String { path + "/queue.sqlite" }
    var historyPath: String { path + "/history.sqlite" }
    var pathsPath: String { path + "/paths.sqlite" }
    var accountsPath: String { path + "/accounts.sqlite" }

    /// There while a restore fills the folder, and after one that was cut off.
    static let restoring = "restoring"

    private let lock: Int32

    /// Makes the folder (mode 0700) where it is missing and locks it. Done as the user that the relay runs as.
    ///
    /// - Parameter restoring: whoever fills it from a backup; for everybody else a half-filled one is none.
    /// - Throws: ``StoreFailure`` when it cannot be made, or another process holds it.
    package init(path: String, restoring: Bool = false) throws {
        self.path = path
        try Self.makeFolder(path)
        try Self.makeFolder(path + "/content")
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw StoreFailure(errno: errno, "cannot open \(path)/lock") }
        do {
            try Self.hold(lock, path)
            if !restoring, access("\(path)/\(Self.restoring)", F_OK) == 0 {
                throw StoreFailure(
                    .failed, "a restore into \(path) did not come to its end; run `figaro restore` again")
            }
        } catch {
            close(lock)
            throw error
        }
    }

    /// Tries for a second: an audit or a support bundle looks for a moment whether anybody holds it.
    private static func hold(_ lock: Int32, _ path: String) throws {
        for attempt in 1...10 {
            if flock(lock, LOCK_EX | LOCK_NB) == 0 { return }
            let code = errno
            guard code == EWOULDBLOCK || code == EINTR else {
                throw StoreFailure(errno: code, "cannot lock \(path)/lock")
            }
            if attempt < 10 { usleep(100_000) }
        }
        throw StoreFailure(.failed, "spool \(path) is in use by another process; one spool is for one relay")
    }

    /// Whether a relay (or a restore) works on this spool.
    package static func isHeld(_ path: String) -> Bool {
        let lock = open(path + "/lock", O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return false }
        defer { close(lock) }
        return flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    deinit {
        close(lock)
    }

    /// With its parents; those that exist keep their modes.
    private static func makeFolder(_ path: String) throws {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw StoreFailure(errno: errno, "cannot make folder \(made)")
            }
        }
        guard access(path, R_OK | W_OK | X_OK) == 0 else { throw StoreFailure(errno: errno, "cannot use \(path)") }
    }

    /// Makes an empty file that only its owner can read, where there is none: SQLite would go by the umask.
    static func makePrivate(_ path: String) throws {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreFailure(errno: errno, "cannot open \(path)") }
        close(file)
    }

    /// Octets that may still be written.
    func freeSpace() throws -> Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw StoreFailure(errno: errno, "cannot ask \(path) for its space") }
        let (octets, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : Int64(clamping: octets)
    }
}

extension StoreFailure {
    init(errno code: Int32, _ text: String) {
        self.init(
            code == ENOSPC || code == EDQUOT ? .diskFull : .failed, "\(text): \(String(cString: strerror(code)))")
    }
}
