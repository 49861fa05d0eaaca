import Glibc
import Logging
import Queue

/// A database that no mail depends on: one that cannot be used is set aside, and the relay goes on with a new one.
enum HintFile {
    /// - Parameters:
    ///   - what: as the log names it.
    ///   - open: opens the file, or makes it where there is none.
    /// - Throws: what `open` throws for a full disk (the file is as good as it was), or for the new file, too.
    static func open<File>(_ path: String, _ what: String, log: Logger, with open: () throws -> File) throws -> File {
        do {
            return try open()
        } catch let failure as StoreFailure where failure.kind == .diskFull {
            throw failure
        } catch {
            log.error("\(what) set aside and begun anew", metadata: ["error": "\(error)"])
            for end in ["-wal", "-shm"] { unlink(path + end) }
            guard rename(path, path + ".unreadable") == 0 else { throw error }
            return try open()
        }
    }
}
