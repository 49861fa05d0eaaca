import GRDBSQLite
import Glibc
import Synchronization

/// Stands between SQLite and the files of one folder: counts, fails at will, and keeps what a power cut would leave.
///
/// It is a SQLite file layer (VFS) put before the usual one for the whole process; folders that nobody watches go
/// straight through.
package final class WatchedDisk: Sendable {
    package struct Counts: Sendable, Hashable {
        package var syncs = 0
        package var writes = 0
        package var octets = 0
    }

    fileprivate struct State {
        var counts = Counts()
        var failSyncs = false
        /// SQLite's code for a write from now on.
        var failWrites: Int32?
        /// The operation, counted from 1, that fails, and all after it.
        var failFrom: Int?
        var mirror: String?
    }

    package let folder: String
    private let state = Mutex(State())

    /// - Parameter folder: where the watched files lie; watched until this object goes.
    package init(_ folder: String) {
        self.folder = folder
        Layer.install()
        Layer.watched.withLock { $0[folder] = Weak(disk: self) }
    }

    deinit {
        Layer.watched.withLock { $0[folder] = nil }
    }

    package var counts: Counts { state.withLock { $0.counts } }

    /// Syncs fail from now on, after the writing was done.
    package func failSyncs(_ fail: Bool = true) { state.withLock { $0.failSyncs = fail } }

    /// Writes fail from now on as on a full disk.
    package func fill(_ full: Bool = true) { state.withLock { $0.failWrites = full ? SQLITE_FULL : nil } }

    /// The `number`th write or sync from now on fails, and every later one; nil: none.
    package func fail(from number: Int?) {
        state.withLock { state in
            state.failFrom = number.map { state.counts.syncs + state.counts.writes + $0 }
        }
    }

    /// Keeps in `folder` each file as it was when it was last synced: all that a power cut is sure to leave.
    package func mirror(to folder: String) { state.withLock { $0.mirror = folder } }

    fileprivate func willWrite(_ octets: Int) -> Int32 {
        state.withLock { state in
            state.counts.writes += 1
            state.counts.octets += octets
            if state.isFailing { return SQLITE_IOERR | 3 << 8 }
            return state.failWrites ?? SQLITE_OK
        }
    }

    fileprivate func didSync(_ path: String) -> Int32 {
        let (fails, mirror) = state.withLock { state in
            state.counts.syncs += 1
            return (state.failSyncs || state.isFailing, state.mirror)
        }
        if fails { return SQLITE_IOERR | 4 << 8 }
        if let mirror { Self.copy(path, to: mirror + "/" + (path.split(separator: "/").last.map(String.init) ?? "")) }
        return SQLITE_OK
    }

    private static func copy(_ path: String, to target: String) {
        let from = open(path, O_RDONLY | O_CLOEXEC)
        let to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        var status = stat()
        fstat(from, &status)
        while sendfile(to, from, nil, Int(status.st_size)) > 0 {}
        close(from)
        close(to)
    }

    fileprivate struct Weak: Sendable {
        weak let disk: WatchedDisk?
    }
}

extension WatchedDisk.State {
    fileprivate var isFailing: Bool {
        failFrom.map { counts.syncs + counts.writes >= $0 } ?? false
    }
}

/// The file layer. C functions carry no context, so what they need is found by the file's address.
private enum Layer {
    static let watched = Mutex<[String: WatchedDisk.Weak]>([:])
    private static let files = Mutex<[UInt: File]>([:])
    private static let installed = Mutex(false)
    private static let usual = Mutex<Address?>(nil)

    struct Address: @unchecked Sendable {
        // SAFETY: points to SQLite's own file layer, which is never freed or changed.
        let layer: UnsafeMutablePointer<sqlite3_vfs>
    }

    struct File: @unchecked Sendable {
        // SAFETY: the methods are SQLite's own constant table.
        let path: String
        let methods: UnsafePointer<sqlite3_io_methods>
        let disk: WatchedDisk.Weak
    }

    static func install() {
        installed.withLock { installed in
            guard !installed, let layer = sqlite3_vfs_find(nil) else { return }
            installed = true
            usual.withLock { $0 = Address(layer: layer) }
            // Lives as long as the process, as SQLite wants it.
            let ours = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
            ours.initialize(to: layer.pointee)
            ours.pointee.zName = UnsafePointer(strdup("watched"))
            ours.pointee.xOpen = { _, name, file, flags, outFlags in Layer.open(name, file, flags, outFlags) }
            sqlite3_vfs_register(ours, 1)
        }
    }

    private static func open(
        _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let layer = usual.withLock({ $0 })?.layer, let file else { return SQLITE_ERROR }
        let code = layer.pointee.xOpen(layer, name, file, flags, outFlags)
        guard code == SQLITE_OK, let name, let methods = file.pointee.pMethods else { return code }
        let path = String(cString: name)
        let disk = watched.withLock { watched in watched.first { path.hasPrefix($0.key + "/") }?.value }
        guard let disk else { return code }
        files.withLock { $0[UInt(bitPattern: file)] = File(path: path, methods: methods, disk: disk) }
        let ours = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        ours.initialize(to: methods.pointee)
        ours.pointee.xWrite = { file, bytes, count, offset in
            guard let known = Layer.find(file), let write = known.methods.pointee.xWrite else { return SQLITE_ERROR }
            let code = known.disk.disk?.willWrite(Int(count)) ?? SQLITE_OK
            return code == SQLITE_OK ? write(file, bytes, count, offset) : code
        }
        ours.pointee.xSync = { file, flags in
            guard let known = Layer.find(file), let sync = known.methods.pointee.xSync else { return SQLITE_ERROR }
            let code = sync(file, flags)
            return code == SQLITE_OK ? known.disk.disk?.didSync(known.path) ?? SQLITE_OK : code
        }
        ours.pointee.xClose = { file in
            guard let file, let known = Layer.find(file), let close = known.methods.pointee.xClose else {
                return SQLITE_ERROR
            }
            Layer.files.withLock { $0[UInt(bitPattern: file)] = nil }
            return close(file)
        }
        file.pointee.pMethods = UnsafePointer(ours)
        return code
    }

    private static func find(_ file: UnsafeMutablePointer<sqlite3_file>?) -> File? {
        files.withLock { $0[UInt(bitPattern: file)] }
    }
}
