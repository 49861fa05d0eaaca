import Glibc
import Logging
import Mail
import Queue
import RelayTesting
import Storage

/// The stores that keep the contract.
enum StoreKind: String, CaseIterable, Sendable {
    case memory, sqlite

    /// A new, open store; `folder` must outlive it.
    func make(in folder: Folder) throws -> any QueueStore {
        let store: any QueueStore
        switch self {
        case .memory: store = MemoryStore()
        case .sqlite: store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        }
        _ = try store.open()
        return store
    }
}

/// A logger that says nothing.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A temporary folder that is removed with the test that made it.
final class Folder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/figaro-test-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/figaro-test"
    }

    deinit {
        Self.remove(path)
    }

    /// Names in it, or in a folder of it.
    func names(in folder: String = "") -> [String] {
        guard let handle = opendir(path + "/" + folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Octets; 0 for one that is not there.
    func size(of name: String) -> Int64 {
        var status = stat()
        return stat(path + "/" + name, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// Copies its files as they are on the disk now: what a crash at this moment would leave.
    func copy() -> Folder {
        let copy = Folder()
        for name in names() where name != "lock" && name != "content" {
            let from = open(path + "/" + name, O_RDONLY)
            let to = open(copy.path + "/" + name, O_WRONLY | O_CREAT, 0o600)
            var size = stat()
            fstat(from, &size)
            while sendfile(to, from, nil, Int(size.st_size)) > 0 {}
            close(from)
            close(to)
        }
        return copy
    }

    private static func remove(_ path: String) {
        guard let handle = opendir(path) else { return }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            if unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
        }
        rmdir(path)
    }
}

/// SQL that takes a file of this version back to an earlier one.
enum OldSchema {
    static let third = """
        DROP INDEX waiting_due;
        DROP INDEX waiting_expires;
        DROP INDEX waiting_held;
        DROP INDEX waiting_until;
        ALTER TABLE waiting DROP COLUMN until;
        ALTER TABLE waiting DROP COLUMN hold;
        ALTER TABLE waiting DROP COLUMN held;
        CREATE INDEX waiting_due ON waiting (domain, customer, due, message);
        CREATE INDEX waiting_expires ON waiting (expires, message, domain);
        PRAGMA user_version = 3;

        """
}
