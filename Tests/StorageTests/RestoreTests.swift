import Glibc
import Mail
import Queue
import RelayTesting
import Storage
import Testing

@Suite struct `A restored spool` {
    let folder = Folder()
    let time = ManualTime()
    let mails: Mails
    var spool: String { folder.path + "/spool" }
    var backup: String { folder.path + "/backup" }
    var restored: String { folder.path + "/restored" }

    init() {
        // The restore itself goes by the machine's clock.
        time.set(SystemTime().now() + .hours(-3))
        mails = Mails(time)
    }

    /// Two messages that wait (the first for two hours more) and one in its first attempt, three hours ago.
    func backedUp() throws -> [Accepted] {
        let all = [mails.next(lives: .hours(2)), mails.next(to: ["a@example.org", "x@example.net"]), mails.next()]
        do {
            let place = try Spool(path: spool)
            let store = SQLiteStore(spool: place, logger: quiet)
            _ = try store.open()
            var batch = StoreBatch(at: time.now())
            batch.accepted = all.map(\.stored)
            batch.filed = [all[0].row(), all[1].row(), all[1].row("example.net")]
            _ = try store.write(batch)
            try store.close()
            let history = try History(spool: place, logger: quiet)
            history.record(all.map { .accepted($0.trace) })
            history.stop()
        }
        _ = try SpoolBackup(of: spool, to: backup).run { _ in "{}" }
        return all
    }

    func restore() throws -> SteeringCount {
        let hold = Hold(at: time.now(), by: "root (uid 0)", reason: "looked at first")
        return try SpoolRestore(from: backup, to: restored, owner: nil)
            .run(made: time.now(), hold: hold, logger: quiet)
    }

    func opened() throws -> SQLiteStore {
        let store = SQLiteStore(spool: try Spool(path: restored), logger: quiet)
        _ = try store.open()
        return store
    }

    @Test func `comes up held, what was in its first attempt and what had run out as well`() throws {
        let all = try backedUp()
        let held = try restore()
        #expect(held.messages == 3 && held.recipients == 4)
        let store = try opened()
        let counts = try store.counts()
        #expect(counts.messages == 3 && counts.works == 4 && counts.held == 4 && counts.untold == 0)
        #expect(try store.earliest(afterDomain: nil, limit: 5).isEmpty, "nothing is due")
        #expect(try store.expired(by: .distantFuture, after: nil, limit: 5).isEmpty, "nothing runs out")
        // It has as much time left as it had when the backup was made.
        let now = SystemTime().now()
        var batch = StoreBatch(at: now)
        batch.steered = [Steering(key: all[0].key(), change: .release)]
        _ = try store.write(batch)
        #expect(try store.expired(by: now + .minutes(119), after: nil, limit: 5).isEmpty)
        #expect(try store.expired(by: now + .minutes(121), after: nil, limit: 5).count == 1)
    }

    @Test func `says in its history who held it and why`() throws {
        let all = try backedUp()
        _ = try restore()
        let history = try History(spool: try Spool(path: restored), logger: quiet)
        defer { history.stop() }
        for mail in all {
            let domains = try history.events(of: mail.id).compactMap { event -> String? in
                guard case .steered(let steered) = event, steered.how == .held else { return nil }
                #expect(steered.by == "root (uid 0)" && steered.reason == "looked at first")
                return steered.domain
            }
            #expect(Set(domains) == Set(mail.recipients.map(\.domain)) && domains.count == Set(domains).count)
        }
    }

    @Test func `is filled anew where a restore was cut off, whatever that one had written by then`() throws {
        _ = try backedUp()
        // As a kill in the middle of holding leaves it: named, half held, with a log that is not in the database yet.
        _ = try restore()
        do {
            let store = try opened()
            var batch = StoreBatch(at: SystemTime().now())
            batch.steered = try store.filed(QueueFilter(), after: MessageID(value: 0), limit: 9).works
                .map { Steering(key: $0.key, change: .end(SteeredEnd(how: .deleted, reason: "x"))) }
            _ = try store.write(batch)
            let killed = Folder()
            for name in ["queue.sqlite-wal", "queue.sqlite-shm"] { try copy("\(restored)/\(name)", killed.path, name) }
            try store.close()
            for name in ["queue.sqlite-wal", "queue.sqlite-shm"] { try copy("\(killed.path)/\(name)", restored, name) }
        }
        try touch(restored + "/restoring")
        #expect(throws: StoreFailure.self) { try Spool(path: restored) }
        #expect(try restore().recipients == 4)
        #expect(try opened().counts().held == 4)
    }

    @Test func `lets its mail go where nobody asked for anything else`() throws {
        _ = try backedUp()
        let held = try SpoolRestore(from: backup, to: restored, owner: nil).run(made: time.now(), logger: quiet)
        #expect(held.messages == 0)
        // One is in its first attempt still: the relay files it when it starts.
        #expect(try opened().counts().works == 3)
    }

    private func touch(_ path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT, 0o600)
        try #require(file >= 0)
        close(file)
    }

    private func copy(_ path: String, _ folder: String, _ name: String) throws {
        let (from, to) = (open(path, O_RDONLY), open("\(folder)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o600))
        try #require(from >= 0 && to >= 0)
        while sendfile(to, from, nil, 1 << 20) > 0 {}
        close(from)
        close(to)
    }
}
