import Mail
import Queue
import RelayTesting
import Storage
import Testing

/// What survives, with the disk watched underneath SQLite.
@Suite(.serialized) struct `On a disk` {
    let folder = Folder()
    let time = ManualTime()
    let mails: Mails
    let disk: WatchedDisk

    init() {
        mails = Mails(time)
        disk = WatchedDisk(folder.path)
    }

    func open(_ folder: Folder? = nil) throws -> SQLiteStore {
        let store = SQLiteStore(spool: try Spool(path: (folder ?? self.folder).path), logger: quiet)
        _ = try store.open()
        return store
    }

    func batch(_ fill: (inout StoreBatch) -> Void) -> StoreBatch {
        var batch = StoreBatch(at: time.now())
        fill(&batch)
        return batch
    }

    func accept(_ mail: Accepted, in store: SQLiteStore) throws {
        _ = try store.write(batch { $0.accepted = [mail.stored] })
    }

    /// Ids in a copy of the files, as the program would find them.
    func living(in folder: Folder) throws -> Set<MessageID> {
        let store = try open(folder)
        defer { try? store.close() }
        return Set(try store.entries(QueueFilter(limit: 1_000)).entries.map(\.message.id))
    }

    @Test func `a commit of one message of 4 KiB costs one sync and hardly more octets than it has`() throws {
        let store = try open()
        let content = String(repeating: "x", count: 4_096)
        for _ in 0..<20 { try accept(mails.next(content: content), in: store) }
        let before = disk.counts
        for _ in 0..<100 { try accept(mails.next(content: content), in: store) }
        #expect(disk.counts.syncs - before.syncs == 100)
        // The content's page, the row's, the file's first page, and now and then one more.
        #expect((disk.counts.octets - before.octets) / 100 < 4 * 4_120)
        let single = disk.counts
        let together = (0..<100).map { _ in mails.next(content: content) }
        _ = try store.write(batch { $0.accepted = together.map(\.stored) })
        #expect(disk.counts.syncs - single.syncs == 1)
        // Content, an eighth of a page for the row, and little else.
        #expect((disk.counts.octets - single.octets) / 100 < 5_000)
        let filled = disk.counts
        _ = try store.write(batch { $0.removed = together.map(\.id) })
        #expect((disk.counts.octets - filled.octets) / 100 < 1_000)
    }

    @Test func `what was committed is there after a power cut, whatever was not synced is lost`() throws {
        let store = try open()
        let mirror = Folder()
        disk.mirror(to: mirror.path)
        try store.recover()
        var expected: Set<MessageID> = []
        for number in 0..<40 {
            let some = (0..<3).map { _ in mails.next(content: String(repeating: "y", count: 3_000)) }
            _ = try store.write(
                batch {
                    $0.accepted = some.map(\.stored)
                    if let gone = expected.min(), number % 2 == 0 { $0.removed = [gone] }
                })
            if let gone = expected.min(), number % 2 == 0 { expected.remove(gone) }
            expected.formUnion(some.map(\.id))
            if number == 20 { try store.recover() }
            #expect(try living(in: mirror.copy()) == expected)
        }
    }

    @Test func `a crash between any two operations leaves all that was committed`() throws {
        for number in 1...60 {
            let folder = Folder()
            let disk = WatchedDisk(folder.path)
            let store = try open(folder)
            var committed: Set<MessageID> = []
            var maybe: Set<MessageID> = []
            disk.fail(from: number)
            while true {
                let mail = mails.next(content: String(repeating: "z", count: 2_000))
                maybe = [mail.id]
                do { try accept(mail, in: store) } catch { break }
                committed.insert(mail.id)
            }
            // The process is gone at this point: nothing is rolled back or closed.
            let found = try living(in: folder.copy())
            #expect(found.isSuperset(of: committed), "operation \(number)")
            #expect(found.subtracting(committed).isSubset(of: maybe), "operation \(number)")
            disk.fail(from: nil)
        }
    }

    @Test func `after a failed sync nothing is written until the store was opened anew`() throws {
        let store = try open()
        let first = mails.next()
        try accept(first, in: store)
        disk.failSyncs()
        let second = mails.next()
        #expect(throws: StoreFailure.self) { try accept(second, in: store) }
        #expect(throws: StoreFailure.self) { try store.recover() }
        #expect(throws: StoreFailure.self) { try accept(mails.next(), in: store) }
        disk.failSyncs(false)
        try store.recover()
        _ = try store.write(batch { $0.undone = [second.id] })
        let third = mails.next()
        try accept(third, in: store)
        #expect(try store.existing([first.id, second.id, third.id]) == [first.id, third.id])
        #expect(try living(in: folder.copy()) == [first.id, third.id])
    }

    @Test func `a full disk is told from a broken one, and the store goes on when there is room`() throws {
        let store = try open()
        disk.fill()
        let error = #expect(throws: StoreFailure.self) { try accept(mails.next(), in: store) }
        #expect(error?.kind == .diskFull)
        disk.fill(false)
        try store.recover()
        try accept(mails.next(), in: store)
    }

    @Test func `the log is begun anew under load and does not grow for ever`() throws {
        let store = try open()
        let content = String(repeating: "w", count: 60_000)
        var largest: Int64 = 0
        for _ in 0..<150 {
            let some = (0..<20).map { _ in mails.next(content: content) }
            _ = try store.write(batch { $0.accepted = some.map(\.stored) })
            _ = try store.write(batch { $0.removed = some.map(\.id) })
            largest = max(largest, folder.size(of: "queue.sqlite-wal"))
        }
        // 180 MB went through it.
        #expect(largest < 120 << 20)
    }

    @Test func `a queue over a disk that fails refuses, recovers, and keeps what it committed`() async throws {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        let queue = MailQueue(
            store: store, contents: NotingContents(), trace: NotingTrace(), time: time, logger: quiet)
        let dispatcher = NotingDispatcher()
        queue.attach(dispatcher)
        try queue.start()
        defer { queue.stop() }
        func commit(_ mail: Accepted) async -> Bool {
            await withCheckedContinuation { done in
                queue.commit(mail) { result in
                    if case .committed = result { done.resume(returning: true) } else { done.resume(returning: false) }
                }
            }
        }
        let first = mails.next()
        #expect(await commit(first))
        disk.failSyncs()
        let second = mails.next()
        #expect(await !commit(second))
        #expect(queue.admission() == .broken)
        #expect(await !commit(mails.next()))
        disk.failSyncs(false)
        while queue.admission() != .open { try await Task.sleep(for: .milliseconds(5)) }
        let third = mails.next()
        #expect(await commit(third))
        #expect(try living(in: folder.copy()) == [first.id, third.id])
    }
}
