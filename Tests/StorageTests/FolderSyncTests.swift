import Glibc
import Queue
import Synchronization
import Testing

@testable import Storage

@Suite struct `Folder sync` {
    let folder = Folder()

    /// What fsync answers, and how often it was called; the first call waits for `go`.
    final class Disk: Sendable {
        let calls = Atomic<Int>(0)
        let answered = Atomic<Int>(0)
        let broken = Atomic<Bool>(false)
        let called = Bell()
        let go = Bell()

        func sync() -> Int32 {
            if calls.add(1, ordering: .sequentiallyConsistent).newValue == 1 {
                called.ring()
                go.wait(nanoseconds: 5_000_000_000)
            }
            errno = EIO
            return broken.load(ordering: .sequentiallyConsistent) ? -1 : 0
        }
    }

    func sync(_ names: FolderSync, since failures: Int) async -> Bool {
        await withCheckedContinuation { continuation in
            names.sync(since: failures) { result in
                continuation.resume(returning: (try? result.get()) != nil)
            }
        }
    }

    @Test func `one sync serves all that wait for it`() async throws {
        let disk = Disk()
        let names = try FolderSync(path: folder.path) { _ in disk.sync() }
        defer { names.stop() }
        names.sync(since: 0) { _ in disk.answered.add(1, ordering: .sequentiallyConsistent) }
        disk.called.wait(nanoseconds: 5_000_000_000)
        // Asked for while one was under way: that one may have been too early for these names.
        for _ in 0..<100 { names.sync(since: 0) { _ in disk.answered.add(1, ordering: .sequentiallyConsistent) } }
        disk.go.ring()
        #expect(await sync(names, since: 0))
        #expect(disk.answered.load(ordering: .sequentiallyConsistent) == 101)
        #expect((2...3).contains(disk.calls.load(ordering: .sequentiallyConsistent)))
    }

    @Test func `a name from before a failed sync is not trusted after one that succeeds`() async throws {
        let disk = Disk()
        disk.go.ring()
        let names = try FolderSync(path: folder.path) { _ in disk.sync() }
        defer { names.stop() }
        let before = names.failures
        disk.broken.store(true, ordering: .sequentiallyConsistent)
        #expect(await !sync(names, since: before))
        disk.broken.store(false, ordering: .sequentiallyConsistent)
        #expect(await !sync(names, since: before))
        #expect(await sync(names, since: names.failures))
    }
}
