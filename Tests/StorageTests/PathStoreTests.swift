import Foundation
import Glibc
import Mail
import Queue
import RelayTesting
import Storage
import Testing

@Suite struct `What was learned about receivers` {
    let folder = Folder()
    let time = ManualTime()
    let spool: Spool

    init() throws {
        spool = try Spool(path: folder.path)
    }

    private func store(_ configure: (inout PathStore.Configuration) -> Void = { _ in }) throws -> PathStore {
        var configuration = PathStore.Configuration()
        configuration.gather = Timestamp.Span(milliseconds: 5)
        configuration.trimEvery = Timestamp.Span(milliseconds: 10)
        configure(&configuration)
        return try PathStore(spool: spool, time: time, logger: quiet, configuration: configuration)
    }

    private func key(_ name: String, kind: UInt8 = 1) -> PathStore.Key {
        PathStore.Key(receiver: "mx.example.org", kind: kind, name: name)
    }

    private func row(_ name: String, _ value: [UInt8] = [1], hours: Int64 = 1) -> PathStore.Row {
        PathStore.Row(key: key(name), value: value, expires: time.now() + .hours(hours))
    }

    /// What the file holds, as the next run sees it.
    private func reopened() throws -> [PathStore.Row] {
        let store = try store()
        defer { store.stop() }
        return store.takeKept()
    }

    /// Whether a crash would leave such names within ten seconds. Nothing is removed by looking: the clock stands at 0.
    private func left(_ isRight: ([String]) -> Bool) async throws -> Bool {
        let until = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < until {
            let copy = folder.copy()
            let store = try PathStore(spool: try Spool(path: copy.path), time: ManualTime(), logger: quiet)
            let names = store.takeKept().map(\.key.name)
            store.stop()
            if isRight(names) { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    @Test func `is there after a restart, the latest of it, and given out once`() throws {
        let first = try store { $0.gather = .seconds(60) }
        first.note([.keep(row("192.0.2.1", [1, 2, 0])), .keep(row("192.0.2.2")), .keep(row("grüße 'n \0", []))])
        first.note([.keep(row("192.0.2.1", [9])), .forget(key("192.0.2.2")), .forget(key("never there"))])
        first.stop()
        let second = try store()
        let kept = second.takeKept()
        #expect(Set(kept) == [row("192.0.2.1", [9]), row("grüße 'n \0", [])])
        #expect(second.takeKept().isEmpty)
        second.note([.forget(key("192.0.2.1"))])
        second.stop()
        #expect(try reopened().map(\.key.name) == ["grüße 'n \0"])
    }

    @Test func `two kinds of one name are two things`() throws {
        let store = try store()
        let other = PathStore.Row(key: key("a", kind: 2), value: [2], expires: time.now() + .hours(1))
        store.note([.keep(row("a")), .keep(other), .forget(key("a", kind: 3))])
        store.stop()
        #expect(Set(try reopened()) == [row("a"), other])
    }

    @Test func `is written within moments, without anybody asking`() async throws {
        let store = try store()
        store.note([.keep(row("a"))])
        #expect(try await left { $0 == ["a"] })
        store.stop()
    }

    @Test func `what has expired is forgotten, at a start and while it runs`() async throws {
        let first = try store()
        first.note([.keep(row("an hour")), .keep(row("a day", hours: 24))])
        first.stop()
        time.advance(.hours(2))
        let second = try store()
        #expect(second.takeKept().map(\.key.name) == ["a day"])
        second.note([.keep(row("soon"))])
        time.advance(.hours(2))
        #expect(try await left { $0 == ["a day"] })
        second.stop()
    }

    @Test func `rows are bounded, those that would be forgotten first go`() throws {
        let first = try store()
        first.note((1...30).map { .keep(row("row \($0)", hours: Int64($0))) })
        first.stop()
        let second = try store { $0.rows = 10 }
        #expect(Set(second.takeKept().map(\.key.name)) == Set((21...30).map { "row \($0)" }))
        second.stop()
    }

    @Test func `changes that wait are bounded, what is known already still changes`() throws {
        let store = try store {
            $0.gather = .seconds(60)
            $0.pending = 3
        }
        store.note((1...5).map { .keep(row("row \($0)")) } + [.forget(key("row 1")), .keep(row("row 2", [7]))])
        #expect(store.lost == 2)
        store.stop()
        #expect(Set(try reopened()) == [row("row 2", [7]), row("row 3")])
    }

    @Test(arguments: ["no database at all", ""])
    func `a file that cannot be used is set aside`(text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/paths.sqlite"))
        let store = try store()
        #expect(store.takeKept().isEmpty)
        store.note([.keep(row("a"))])
        store.stop()
        #expect(try reopened().map(\.key.name) == ["a"])
        #expect((access(folder.path + "/paths.sqlite.unreadable", F_OK) == 0) == !text.isEmpty)
    }

    @Test func `a page that was damaged costs the memory, not the start`() throws {
        let first = try store()
        first.note((1...2_000).map { .keep(row("row \($0)", [UInt8](repeating: 7, count: 100))) })
        first.stop()
        let path = folder.path + "/paths.sqlite"
        var octets = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        for index in octets.indices.dropFirst(octets.count / 2) { octets[index] = 0xAA }
        try Data(octets).write(to: URL(fileURLWithPath: path))
        let second = try store()
        #expect(second.takeKept().isEmpty)
        second.note([.keep(row("a"))])
        second.stop()
        #expect(try reopened().map(\.key.name) == ["a"])
    }

    @Test func `only its owner can read it`() throws {
        try store().stop()
        var status = stat()
        #expect(stat(folder.path + "/paths.sqlite", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
}
