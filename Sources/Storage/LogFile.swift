import Glibc
import Queue

/// The file of the write-ahead log.
enum LogFile {
    /// Fills the log, which must be empty, with zeros, and syncs them.
    ///
    /// A sync of a file that has grown must also write where it lies and ends, into the file system's journal if it has
    /// one; that takes several times as long as the sync of octets that were replaced. The log would grow until its
    /// first checkpoint, on a quiet relay for hours.
    /// To SQLite a log that begins with zeros is an empty one, and zeros behind its last frame are no frames.
    ///
    /// - Throws: ``StoreFailure``. A disk that has no room is none: the log then grows as it must.
    static func fill(_ path: String, octets: Int) throws {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreFailure(errno: errno, "cannot open \(path)") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw StoreFailure(errno: errno, "cannot look at \(path)") }
        guard status.st_size == 0 else { return }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while offset < octets {
            let count = pwrite(file, zeros, min(zeros.count, octets - offset), off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                guard errno == ENOSPC || errno == EDQUOT else {
                    throw StoreFailure(errno: errno, "cannot write \(path)")
                }
                // What was taken is given back: messages need it more.
                guard ftruncate(file, 0) == 0 else { throw StoreFailure(errno: errno, "cannot truncate \(path)") }
                return
            }
            offset += count
        }
        guard fdatasync(file) == 0 else { throw StoreFailure(errno: errno, "cannot sync \(path)") }
    }
}
