import Mail
import Queue
import RelayTesting
import Testing

@testable import Storage

/// When the log is long enough to be copied.
@Suite struct `Log size` {
    let size = LogSize()

    @Test func `after a checkpoint that emptied the log the whole limit is to be reached again`() {
        size.committed(frames: 1_000)
        #expect(size.isLarge(1_000))
        size.checkpointed()
        #expect(!size.isLarge(1_000))
        // Begun anew.
        size.committed(frames: 3)
        #expect(!size.isLarge(1_000))
        size.committed(frames: 999)
        #expect(!size.isLarge(1_000))
        // Reckoned from the frames of the checkpoint before, nothing would have been written since.
        size.committed(frames: 1_001)
        #expect(size.isLarge(1_000))
    }

    @Test func `a log that a reader kept from being emptied is long when it has grown by the limit`() {
        size.committed(frames: 1_000)
        size.checkpointed()
        size.committed(frames: 1_999)
        #expect(!size.isLarge(1_000))
        size.committed(frames: 2_000)
        #expect(size.isLarge(1_000))
    }
}

/// The log's file is as large from the start as it will be: commits replace octets instead of adding some.
@Suite struct `Log file` {
    let folder = Folder()
    let mails = Mails(ManualTime())

    func open(_ folder: Folder) throws -> SQLiteStore {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        return store
    }

    @Test func `commits do not make the log grow`() throws {
        let store = try open(folder)
        let size = folder.size(of: "queue.sqlite-wal")
        #expect(size > 32 << 20)
        for _ in 0..<200 {
            var batch = StoreBatch(at: mails.next().message.arrived)
            batch.accepted = [mails.next(content: String(repeating: "x", count: 4_096)).stored]
            _ = try store.write(batch)
        }
        #expect(folder.size(of: "queue.sqlite-wal") == size)
    }

    @Test func `what was committed over the zeros is found after a crash, and nothing else`() throws {
        let store = try open(folder)
        let mail = mails.next()
        var batch = StoreBatch(at: mail.message.arrived)
        batch.accepted = [mail.stored]
        _ = try store.write(batch)
        let crashed = folder.copy()
        let again = try open(crashed)
        #expect(try again.entries(QueueFilter(limit: 10)).entries.map(\.message.id) == [mail.id])
        #expect(crashed.size(of: "queue.sqlite-wal") == folder.size(of: "queue.sqlite-wal"))
    }

    @Test func `a log that is in use is left alone`() throws {
        let store = try open(folder)
        let size = folder.size(of: "queue.sqlite-wal")
        try LogFile.fill(folder.path + "/queue.sqlite-wal", octets: Int(size) * 2)
        #expect(folder.size(of: "queue.sqlite-wal") == size)
        try store.close()
    }
}
