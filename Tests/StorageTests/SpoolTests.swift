import GRDB
import Glibc
import Logging
import Mail
import NIOCore
import Queue
import RelayTesting
import Testing

@testable import Storage

@Suite struct `A spool` {
    let folder = Folder()

    @Test func `is held by one at a time`() throws {
        let first = try Spool(path: folder.path)
        let error = #expect(throws: StoreFailure.self) { _ = try Spool(path: folder.path) }
        #expect(error?.text.contains("in use") == true)
        withExtendedLifetime(first) {}
    }

    @Test func `is made with its parents and readable only by its owner`() throws {
        let path = folder.path + "/var/lib/figaro"
        let store = SQLiteStore(spool: try Spool(path: path), logger: quiet)
        _ = try store.open()
        func mode(_ path: String) -> UInt32 {
            var status = stat()
            return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
        }
        #expect(mode(path) == 0o700)
        #expect(mode(path + "/content") == 0o700)
        for file in ["queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm", "lock"] {
            #expect(mode(path + "/" + file) == 0o600, "\(file)")
        }
    }

    @Test func `of a later version is refused and not touched`() throws {
        let spool = try Spool(path: folder.path)
        let store = SQLiteStore(spool: spool, logger: quiet)
        _ = try store.open()
        try store.close()
        let later = try DatabaseQueue(path: folder.path + "/queue.sqlite")
        try later.write { try $0.execute(sql: "PRAGMA user_version = 99") }
        try later.close()
        let error = #expect(throws: StoreFailure.self) { _ = try SQLiteStore(spool: spool, logger: quiet).open() }
        #expect(error?.text.contains("later version") == true)
    }

    @Test func `that is no database is refused with its name`() throws {
        let spool = try Spool(path: folder.path)
        let file = try #require(fopen(folder.path + "/queue.sqlite", "w"))
        fputs(String(repeating: "not a database\n", count: 1_000), file)
        fclose(file)
        #expect(throws: StoreFailure.self) { _ = try SQLiteStore(spool: spool, logger: quiet).open() }
    }

    @Test func `tells how much room there is`() throws {
        #expect(try Spool(path: folder.path).freeSpace() > 0)
    }

    @Test func `of the third version is brought to this one, and what waits in it can be held`() throws {
        let time = ManualTime()
        let mails = Mails(time)
        let all = (0..<3).map { _ in mails.next() }
        do {
            let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
            _ = try store.open()
            var batch = StoreBatch(at: time.now())
            batch.accepted = all.map(\.stored)
            batch.filed = all.map { $0.row() }
            _ = try store.write(batch)
            try store.close()
        }
        let file = try DatabaseQueue(path: folder.path + "/queue.sqlite")
        try file.write { database in
            try database.execute(sql: OldSchema.third)
            // As it was packed then: without the site and the source that were tried last.
            try database.execute(sql: "UPDATE waiting SET progress = x'020000000764656661756C74000000'")
        }
        try file.close()
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        let works = try store.works(all.map { $0.key() }, bytes: 1_000).works
        #expect(works.map(\.progress) == works.map { Progress(due: $0.progress.due) })
        #expect(works.count == 3)
        // What goes to a relay from now on has its deadline beside rows that never had one.
        #expect(try store.pastRelay(by: .distantFuture, limit: 5).isEmpty)
        let until = time.now() + .hours(24)
        var handed = all[2].deferred(due: time.now())
        handed.remaining?.progress.relay = Progress.AtRelay(
            name: "provider", entered: time.now(), until: until, cause: .source)
        var handing = StoreBatch(at: time.now())
        handing.settled = [handed]
        _ = try store.write(handing)
        #expect(try store.pastRelay(by: until, limit: 5).map(\.key) == [all[2].key()])
        #expect(try store.works([all[2].key()], bytes: 1_000).works.first?.progress.relay?.until == until)
        #expect(try store.census(from: .relayStart, limit: 9, dueBy: until, ages: []).relays["provider"]?.works == 1)
        var batch = StoreBatch(at: time.now())
        batch.steered = [
            Steering(key: all[0].key(), change: .hold(Hold(at: time.now(), by: "root (uid 0)", reason: "why")))
        ]
        _ = try store.write(batch)
        let lane = Lane(domain: "example.org", customer: "acme")
        #expect(try store.positions(lane, after: .start, dueBy: time.now(), limit: 5).count == 2)
        #expect(try store.expired(by: .distantFuture, after: nil, limit: 5).count == 2)
        #expect(try store.counts() == QueueCounts(messages: 3, works: 3, held: 1, domains: 1, untold: 0, atRelays: 1))
    }

    @Test func `of the first version is brought to this one with all that waits in it`() throws {
        let time = ManualTime()
        let mails = Mails(time)
        let all = ["acme", "zeta", "acme"].map { mails.next(customer: $0) }
        do {
            let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
            _ = try store.open()
            var batch = StoreBatch(at: time.now())
            batch.accepted = all.map(\.stored)
            batch.filed = all.map { $0.row() }
            _ = try store.write(batch)
            try store.close()
        }
        try DatabaseQueue(path: folder.path + "/queue.sqlite").write { database in
            try database.execute(
                sql: OldSchema.third + """
                    DROP INDEX waiting_due;
                    ALTER TABLE waiting DROP COLUMN customer;
                    CREATE INDEX waiting_due ON waiting (domain, due, message);
                    DROP TABLE untold;
                    ALTER TABLE state DROP COLUMN delayed;
                    CREATE TABLE failed (
                        message INTEGER NOT NULL, domain TEXT NOT NULL, local TEXT NOT NULL, how INTEGER NOT NULL,
                        reason TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (message, domain, local)
                    ) WITHOUT ROWID;
                    PRAGMA user_version = 1
                    """)
        }
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        #expect(try store.customers(domain: "example.org", after: nil, limit: 5) == ["acme", "zeta"])
        let lane = Lane(domain: "example.org", customer: "acme")
        let found = try store.positions(lane, after: .start, dueBy: time.now(), limit: 5)
        #expect(found.map(\.message) == [all[0].id, all[2].id])
        #expect(try store.works(all.map { $0.key() }, bytes: 1_000).works.count == 3)
    }

    @Test func `an unreadable row stops nobody else`() throws {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        let time = ManualTime()
        let mails = Mails(time)
        let (bad, good) = (mails.next(), mails.next())
        var batch = StoreBatch(at: time.now())
        batch.accepted = [bad.stored, good.stored]
        batch.filed = [bad.row(), good.row()]
        _ = try store.write(batch)
        let other = try DatabaseQueue(path: folder.path + "/queue.sqlite")
        try other.write {
            try $0.execute(
                sql: "UPDATE waiting SET recipients = x'01ff' WHERE message = ?", arguments: [Int64(bad.id.value)])
        }
        let loaded = try store.works([bad.key(), good.key()], bytes: 1_000)
        #expect(loaded.works.map(\.key) == [good.key()])
        #expect(loaded.looked == 2)
        batch = StoreBatch(at: time.now())
        batch.settled = [bad.delivered(), good.delivered()]
        _ = try store.write(batch)
        #expect(try store.existing([bad.id, good.id]) == [bad.id])
    }
}

@Suite struct `Packed rows` {
    @Test func `any octets are read or refused, never trapped on`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...60, using: &generator)).map { index in
                index == 0 ? 1 : UInt8.random(in: 0...255, using: &generator)
            }
            bytes.withUnsafeBytes { bytes in
                for index in 0..<4 {
                    var unpacker = Unpacker(bytes)
                    switch index {
                    case 0: _ = try? unpacker.envelope(id: MessageID(value: 1), content: { ByteBuffer() })
                    case 1: _ = try? unpacker.recipients()
                    case 2: _ = try? unpacker.progress(due: Timestamp(milliseconds: 0))
                    default: _ = try? unpacker.events(of: MessageID(value: 1))
                    }
                }
            }
        }
    }

    @Test(arguments: [Int64.min, -1, 0, 1, 63, 64, 1 << 40, .max])
    func `numbers of either sign come back`(_ number: Int64) throws {
        var packer = Packer()
        packer.signed(number)
        packer.number(UInt64(bitPattern: number))
        let found = try packer.bytes.withUnsafeBytes { bytes in
            var unpacker = Unpacker(bytes)
            return (try unpacker.signed(), try unpacker.number())
        }
        #expect(found == (number, UInt64(bitPattern: number)))
    }
}
