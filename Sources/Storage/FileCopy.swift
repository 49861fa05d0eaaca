import Glibc
import Queue

/// What backup and restore do with files; each throws ``StoreFailure``.
enum FileCopy {
    /// Names in a folder but `.` and `..`; none where it is missing.
    static func names(in folder: String) throws -> [String] {
        guard let stream = opendir(folder) else {
            if errno == ENOENT { return [] }
            throw StoreFailure(errno: errno, "cannot read \(folder)")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func isRegular(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// A second name for the file where the file system allows it, else a copy.
    ///
    /// - Returns: false when the file is gone.
    static func link(_ source: String, to target: String) throws -> Bool {
        if Glibc.link(source, target) == 0 { return true }
        // EEXIST: an earlier try made it. Others: another file system, too many names, somebody else's file.
        if errno == ENOENT { return false }
        return try copy(source, to: target)
    }

    /// - Returns: false when the file is gone.
    @discardableResult
    static func copy(_ source: String, to target: String) throws -> Bool {
        let from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard from >= 0 else {
            if errno == ENOENT { return false }
            throw StoreFailure(errno: errno, "cannot open \(source)")
        }
        defer { close(from) }
        let to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard to >= 0 else { throw StoreFailure(errno: errno, "cannot make \(target)") }
        defer { close(to) }
        while true {
            let count = sendfile(to, from, nil, 16 << 20)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreFailure(errno: errno, "cannot copy \(source) to \(target)") }
            if count == 0 { break }
        }
        guard fdatasync(to) == 0 else { throw StoreFailure(errno: errno, "cannot sync \(target)") }
        return true
    }

    static func write(_ text: String, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreFailure(errno: errno, "cannot make \(path)") }
        defer { close(file) }
        var text = text
        let isWritten = text.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let count = Glibc.write(file, bytes.baseAddress.map { $0 + start }, bytes.count - start)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                start += count
            }
            return true
        }
        guard isWritten, fdatasync(file) == 0 else { throw StoreFailure(errno: errno, "cannot write \(path)") }
    }

    /// Makes a file's octets durable, or a folder's names.
    static func sync(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreFailure(errno: errno, "cannot open \(path)") }
        defer { close(file) }
        guard fsync(file) == 0 else { throw StoreFailure(errno: errno, "cannot sync \(path)") }
    }

    static func makeFolder(_ path: String) throws {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw StoreFailure(errno: errno, "cannot make folder \(path)")
        }
    }

    /// Removes a folder with the files in it and in its folders, two levels deep: no more is ever made.
    static func remove(_ folder: String, depth: Int = 2) throws {
        for name in try names(in: folder) {
            let path = "\(folder)/\(name)"
            if unlink(path) == 0 { continue }
            guard errno == EISDIR, depth > 0 else { throw StoreFailure(errno: errno, "cannot remove \(path)") }
            try remove(path, depth: depth - 1)
        }
        guard rmdir(folder) == 0 || errno == ENOENT else {
            throw StoreFailure(errno: errno, "cannot remove \(folder)")
        }
    }

    /// Octets that may still be written below a folder.
    static func free(_ folder: String) throws -> Int64 {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else {
            throw StoreFailure(errno: errno, "cannot ask \(folder) for its space")
        }
        let (octets, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : Int64(clamping: octets)
    }
}
