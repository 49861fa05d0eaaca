import Foundation
import GRDB
import Mail
import Queue
import RelayTesting
import Testing

@testable import Storage

/// No statement on the way of a message may cost more with a deep queue than with a short one.
@Suite struct `Statements` {
    let folder = Folder()

    func store() throws -> SQLiteStore {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        return store
    }

    /// What SQLite says it would do, a line a step.
    func plan(of sql: String, in file: String) throws -> [String] {
        try DatabaseQueue(path: "\(folder.path)/\(file)").read { database in
            let statement = try database.makeStatement(sql: "EXPLAIN QUERY PLAN \(sql)")
            // What is bound has no part in the plan.
            statement.setUncheckedArguments(StatementArguments())
            return try Row.fetchAll(statement).map { $0["detail"] }
        }
    }

    @Test func `none scans a table or sorts`() throws {
        _ = try store()
        for sql in SQL.allCases {
            for line in try plan(of: sql.rawValue, in: "queue.sqlite") {
                #expect(!line.hasPrefix("SCAN") && !line.contains("TEMP B-TREE"), "\(sql): \(line)")
            }
        }
    }

    @Test func `the history's do not either`() throws {
        try History(spool: Spool(path: folder.path), logger: quiet).stop()
        for sql in HistorySQL.allCases {
            for line in try plan(of: sql.rawValue, in: "history.sqlite") {
                #expect(!line.hasPrefix("SCAN") && !line.contains("TEMP B-TREE"), "\(sql): \(line)")
            }
        }
    }

    @Test func `what changes the memory of receivers scans nothing, and nothing of it sorts`() throws {
        try PathStore(spool: Spool(path: folder.path), logger: quiet).stop()
        for sql in PathSQL.allCases {
            for line in try plan(of: sql.rawValue, in: "paths.sqlite") {
                let reads = sql == .all || sql == .count
                #expect((reads || !line.hasPrefix("SCAN")) && !line.contains("TEMP B-TREE"), "\(sql): \(line)")
            }
        }
    }

    @Test func `what changes accounts scans nothing`() throws {
        try AccountStore(spool: Spool(path: folder.path)).close()
        let atStart: [AccountSQL] = [.all, .habits, .counts, .friends, .recipients, .forgetRecipients]
        for sql in AccountSQL.allCases {
            for line in try plan(of: sql.rawValue, in: "accounts.sqlite") {
                #expect(
                    (atStart.contains(sql) || !line.hasPrefix("SCAN")) && !line.contains("TEMP B-TREE"),
                    "\(sql): \(line)")
            }
        }
    }

    @Test func `counting reads the narrowest indexes in their order and never the contents`() throws {
        _ = try store()
        let plan = try plan(of: CountSQL.counts.rawValue, in: "queue.sqlite")
        #expect(!plan.contains { $0.contains("TEMP B-TREE") }, "\(plan)")
        #expect(!plan.contains { $0.hasPrefix("SCAN message") || $0 == "SCAN waiting" }, "\(plan)")
    }

    /// Where every statement of Storage has to stand, so that the tests above cannot miss one.
    @Test func `there is no SQL beside the enumerations that are tested`() throws {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Storage")
        var kept: [String] = []
        var loose: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: sources.path).sorted() {
            let text = try String(contentsOf: sources.appending(path: name), encoding: .utf8)
            kept += text.matches(of: /enum (\w+): String, KeptStatement/).map { String($0.1) }
            for line in text.split(separator: "\n") where Self.isSQL(line) {
                let isCase = line.contains("    case ") || Self.rooms.contains(name)
                if !isCase { loose.append("\(name): \(line)") }
            }
        }
        let tested = [
            "AccountSQL", "AuditHistorySQL", "AuditSQL", "BackupSQL", "CountSQL", "HistorySQL", "PathSQL", "SQL",
            "TransactionSQL",
        ]
        #expect(kept.sorted() == tested)
        #expect(loose == [])
    }

    /// Files that hold nothing but statements and tables.
    private static let rooms = [
        "SQL.swift", "Schema.swift", "HistorySQL.swift", "AuditSQL.swift", "PathSQL.swift", "AccountSQL.swift",
    ]

    @Test func `an audit reads every table in the order of an index`() throws {
        _ = try store()
        try History(spool: Spool(path: folder.path + "/other"), logger: quiet).stop()
        let plans =
            try AuditSQL.allCases.map { try plan(of: $0.rawValue, in: "queue.sqlite") }
            + BackupSQL.allCases.map { try plan(of: $0.rawValue, in: "queue.sqlite") }
            + AuditHistorySQL.allCases.map { try plan(of: $0.rawValue, in: "other/history.sqlite") }
        for line in plans.joined() {
            #expect(!line.contains("TEMP B-TREE"), "\(line)")
            #expect(!line.hasPrefix("SCAN") || line == "SCAN gap", "\(line)")
        }
    }

    private static func isSQL(_ line: Substring) -> Bool {
        line.contains(#/("|^ +)(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|CREATE|DROP)\b/#)
    }
}

/// The same, by what SQLite's machine does for each statement when it runs.
@Suite struct `Statements of a deep queue` {
    let folder = Folder()
    let time = ManualTime()

    /// Deferred messages over as many domains as make a hundred a domain, a thousand a transaction.
    func fill(_ store: SQLiteStore, _ mails: Mails, from start: Int, to end: Int) throws {
        for first in stride(from: start, to: end, by: 1_000) {
            var batch = StoreBatch(at: time.now())
            for number in first..<first + 1_000 {
                let domain = "d\(number % 500).example"
                let mail = mails.next(to: ["u@\(domain)"])
                batch.accepted.append(mail.stored)
                batch.filed.append(mail.row(domain, due: time.now() + .hours(1)))
            }
            _ = try store.write(batch)
        }
    }

    /// Everything that is done while mail flows: taken in, delivered, filed, deferred, named, handed out, ended.
    func work(_ store: SQLiteStore, _ mails: Mails) throws {
        let now = time.now()
        for round in 0..<20 {
            let mail = (0..<6).map { mails.next(to: ["u@d\(round * 7 + $0).example"]) }
            let domain = { (number: Int) in "d\(round * 7 + number).example" }
            var batch = StoreBatch(at: now)
            batch.accepted = mail.map(\.stored)
            batch.filed = (1..<6).map { mail[$0].row(domain($0)) }
            let ended = mail[5].ended(domain(5), how: .failed, reason: "x").ended[0]
            batch.untold = ended.report.map { [UntoldRecipient(message: mail[5].id, report: $0)] } ?? []
            batch.agenda = [.bringForward(domain: domain(1), due: now), .postponed(domain: domain(2), until: now)]
            batch.removed = [mail[0].id]
            batch.state = StoreState(floor: mail[0].id, ceiling: mail[5].id)
            _ = try store.write(batch)
            _ = try store.agenda(after: AgendaEntry(domain: "d3", due: .init(milliseconds: 0)), dueBy: now, limit: 10)
            #expect(try store.customers(domain: domain(1), after: nil, limit: 10) == ["acme"])
            let lane = Lane(domain: domain(1), customer: "acme")
            let found = try store.positions(lane, after: .start, dueBy: now, limit: 10)
            _ = try store.works(found.map { WorkKey(message: $0.message, domain: domain(1)) }, bytes: 1 << 20)
            _ = try store.expired(by: now, after: nil, limit: 10)
            _ = try store.earliest(afterDomain: round == 0 ? nil : domain(3), limit: 10)
            _ = try store.existing(mail.map(\.id))
            _ = try store.fresh(from: mail[0].id, limit: 10)
            _ = try store.entries(QueueFilter(after: mail[0].id, limit: 5))
            _ = try store.entry(mail[5].id)
            var end = StoreBatch(at: now)
            end.settled = [
                mail[1].delivered(domain(1)), mail[2].deferred(domain(2), due: now + .hours(1)),
                mail[5].ended(domain(5), how: .failed, reason: "x"),
            ]
            end.expired = [Expiration(key: mail[3].key(domain(3)), at: now)]
            end.undone = [mail[4].id]
            end.agenda = [
                .handedOut(domain: domain(4), next: nil), .handedOut(domain: domain(3), next: now + .hours(1)),
            ]
            _ = try store.write(end)
            try tell(store, mail, now)
            try steer(store, mails.next(to: ["u@\(domain(0))"]), domain(0), now)
        }
    }

    /// What operators do: they look, hold, release, and have it tried sooner.
    private func steer(_ store: SQLiteStore, _ mail: Accepted, _ domain: String, _ now: Timestamp) throws {
        var batch = StoreBatch(at: now)
        batch.accepted = [mail.stored]
        batch.filed = [mail.row(domain, due: now + .hours(1))]
        _ = try store.write(batch)
        let since = now + Timestamp.Span(milliseconds: -1)
        let changes: [Steering.Change] = [
            .hold(Hold(at: since, by: "x", reason: "y")), .release, .end(SteeredEnd(how: .deleted, reason: "z")),
        ]
        for change in [.retry] + changes {
            var batch = StoreBatch(at: now)
            batch.steered = [Steering(key: mail.key(domain), change: change)]
            #expect(try store.write(batch).steered.map(\.changed) == [true])
        }
        _ = try store.filed(QueueFilter(sender: "eve@example.com"), after: MessageID(value: 0), limit: 10)
        _ = try store.unfiled(after: mail.id, limit: 10)
        _ = try store.pastRelay(by: now, limit: 10)
        for place in [CensusPlace.start, .heldStart, .relayStart] {
            _ = try store.census(from: place, limit: 10, dueBy: now, ages: [])
        }
    }

    /// What senders hear: of the one that failed, and of those that have waited long.
    private func tell(_ store: SQLiteStore, _ mail: [Accepted], _ now: Timestamp) throws {
        #expect(try !store.untold(after: nil, limit: 10).isEmpty)
        let untold = try #require(try store.untoldMessage(mail[5].id))
        let late = try store.waiting(after: mail[0].id, through: mail[5].id, limit: 10)
        #expect(late.contains(mail[2].id))
        var telling = StoreBatch(at: now)
        telling.told = [Told(message: mail[5].id, reports: untold.reports)]
        telling.delays = Delays(messages: [], through: mail[5].id)
        _ = try store.write(telling)
    }

    @Test func `cost what they cost in a short one`() throws {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        let mails = Mails(time)
        try fill(store, mails, from: 0, to: 1_000)
        try work(store, mails)
        _ = try store.effort()
        try work(store, mails)
        let short = try store.effort()
        try fill(store, mails, from: 1_000, to: 60_000)
        _ = try store.effort()
        try work(store, mails)
        let deep = try store.effort()
        var ran: Set<String> = []
        for (sql, effort) in deep where effort.runs > 0 {
            ran.insert(sql)
            let before = try #require(short[sql])
            let (cost, was) = (Double(effort.steps) / Double(effort.runs), Double(before.steps) / Double(before.runs))
            #expect(cost <= was * 1.5 + 20, "\(was) steps became \(cost): \(sql)")
            #expect(effort.scanned <= before.scanned, "\(effort.scanned) rows scanned: \(sql)")
            #expect(effort.sorts == 0, "sorts: \(sql)")
        }
        // All of them, but those that run once at a start.
        let unseen = SQL.allCases.filter { !ran.contains($0.rawValue) && ![.state, .firstDomain].contains($0) }
        #expect(unseen == [])
    }

    @Test func `and counting them is right`() throws {
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        let mails = Mails(time)
        try fill(store, mails, from: 0, to: 2_000)
        #expect(try store.counts() == QueueCounts(messages: 2_000, works: 2_000, domains: 500, untold: 0))
        // Fresh, in two domains, failed beside waiting, failed alone, and a floor below which all of it is filed.
        let two = mails.next(to: ["a@d1.example", "b@d2.example"])
        let half = mails.next(to: ["a@d1.example", "b@d2.example"])
        let told = mails.next(to: ["a@d1.example"])
        let fresh = mails.next()
        var batch = StoreBatch(at: time.now())
        batch.accepted = [two, half, told, fresh].map(\.stored)
        batch.filed = [two.row("d1.example"), two.row("d2.example"), half.row("d1.example")]
        for (mail, domain) in [(half, "d2.example"), (told, "d1.example")] {
            let settlement = mail.ended(domain, how: .failed, reason: "x")
            batch.untold += settlement.untold(among: mail.recipients)
        }
        batch.state = StoreState(floor: fresh.id, ceiling: fresh.id)
        batch.steered = [two.key("d1.example"), half.key("d1.example")].map {
            Steering(key: $0, change: .hold(Hold(at: time.now(), by: "x", reason: "y")))
        }
        _ = try store.write(batch)
        #expect(try store.counts() == QueueCounts(messages: 2_004, works: 2_003, held: 2, domains: 500, untold: 2))
    }
}
