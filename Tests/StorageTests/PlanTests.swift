import Mail
import Queue
import RelayTesting
import Testing

@testable import Storage

@Suite struct `Statements` {
    let folder = Folder()

    func store() throws -> SQLiteStore {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        return store
    }

    static func plan(of sql: String, _ connection: Connection) throws -> [String] {
        try connection.run { access in
            var lines: [String] = []
            try access.statement("EXPLAIN QUERY PLAN \(sql)").rows { row in
                lines.append(row.text(3))
                return true
            }
            return lines
        }
    }

    @Test(arguments: SQL.all) func `none scans a table or sorts`(_ sql: String) throws {
        let store = try store()
        let plan = try Self.plan(of: sql, store.reader())
        // In order of the key from one end is no scan: each of these has a LIMIT.
        let walks = [SQL.firstDomain]
        for line in plan {
            #expect(!line.contains("TEMP B-TREE"), "\(sql): \(line)")
            #expect(!line.hasPrefix("SCAN") || walks.contains(sql), "\(sql): \(line)")
        }
    }

    @Test func `the history's do not either`() throws {
        let history = try History(spool: Spool(path: folder.path), logger: quiet)
        history.stop()
        let connection = try Connection(
            path: folder.path + "/history.sqlite", label: "test", Connection.Setup(cache: 100))
        for sql in [HistoryFile.events, HistoryFile.insert] {
            let plan = try Self.plan(of: sql, connection)
            #expect(!plan.contains { $0.hasPrefix("SCAN") || $0.contains("TEMP") }, "\(sql): \(plan)")
        }
    }

    @Test func `fetching costs the same with a hundred thousand rows as with a hundred`() throws {
        let store = try store()
        let time = ManualTime()
        let mails = Mails(time)
        func fill(_ count: Int) throws {
            for _ in 0..<count / 1_000 {
                var batch = StoreBatch(at: time.now())
                for number in 0..<1_000 {
                    let mail = mails.next(to: ["u@d\(number % 100).example"])
                    batch.accepted.append(mail.stored)
                    batch.filed.append(mail.row("d\(number % 100).example"))
                }
                _ = try store.write(batch)
            }
        }
        func cost() throws -> Duration {
            var best = Duration.seconds(10)
            for _ in 0..<20 {
                let start = ContinuousClock.now
                _ = try store.positions(domain: "d50.example", after: .start, dueBy: time.now(), limit: 10)
                _ = try store.agenda(dueBy: time.now(), limit: 100)
                _ = try store.expired(by: time.now(), after: nil, limit: 100)
                _ = try store.earliest(afterDomain: "d50.example", limit: 10)
                best = min(best, ContinuousClock.now - start)
            }
            return best
        }
        try fill(1_000)
        let small = try cost()
        try fill(99_000)
        #expect(try cost() < small * 5 + .milliseconds(1))
        #expect(try store.counts().works == 100_000)
    }
}
