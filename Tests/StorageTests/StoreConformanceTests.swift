import Mail
import NIOCore
import Queue
import RelayTesting
import Testing

/// What every store keeps, whatever it is made of.
@Suite struct `A store` {
    let folder = Folder()
    let time = ManualTime()
    let mails: Mails
    let lane = Lane(domain: "example.org", customer: "acme")
    var now: Timestamp { time.now() }

    init() {
        mails = Mails(time)
    }

    func batch(_ fill: (inout StoreBatch) -> Void) -> StoreBatch {
        var batch = StoreBatch(at: now)
        fill(&batch)
        return batch
    }

    /// Accepts and files.
    func file(_ mail: Accepted, in store: any QueueStore, _ rows: [WaitingRow]? = nil) throws {
        let rows = rows ?? Set(mail.recipients.map(\.domain)).sorted().map { mail.row($0) }
        _ = try store.write(
            batch {
                $0.accepted = [mail.stored]
                $0.filed = rows
            })
    }

    func due(_ store: any QueueStore) throws -> [String] {
        try store.agenda(dueBy: now, limit: 100).due.map(\.domain)
    }

    @Test(arguments: StoreKind.allCases)
    func `an accepted message is fresh until it is filed`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next(to: ["ada@example.org", "bob@example.net"])
        _ = try store.write(batch { $0.accepted = [mail.stored] })
        let fresh = try store.fresh(from: MessageID(value: 0), limit: 10)
        #expect(fresh.map(\.message.id) == [mail.id])
        #expect(fresh.first?.recipients == mail.recipients)
        #expect(try store.entry(mail.id)?.works.map(\.state) == [.fresh, .fresh])
        _ = try store.write(batch { $0.filed = [mail.row(), mail.row("example.net")] })
        #expect(try store.fresh(from: MessageID(value: 0), limit: 10).isEmpty)
        #expect(try store.entry(mail.id)?.works.map(\.domain) == ["example.net", "example.org"])
    }

    @Test(arguments: StoreKind.allCases)
    func `fresh messages are paged by id, from the floor on`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let all = (0..<10).map { _ in mails.next() }
        _ = try store.write(batch { $0.accepted = all.map(\.stored) })
        #expect(try store.fresh(from: all[3].id, limit: 4).map(\.message.id) == all[3..<7].map(\.id))
        #expect(try store.fresh(from: all[7].id, limit: 4).map(\.message.id) == all[7...].map(\.id))
    }

    @Test(arguments: StoreKind.allCases)
    func `what is at a relay is found when its deadline there has passed, and ends with what was tried`(
        _ kind: StoreKind
    ) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next(to: ["ada@example.org"], from: nil, content: "x\r\n")
        var row = mail.row()
        try file(mail, in: store, [row])
        #expect(try store.pastRelay(by: now + .days(1), limit: 10).isEmpty)
        row.progress.tried = ["a", "b"]
        row.progress.attempts = 5
        row.progress.relay = Progress.AtRelay(
            name: "provider", entered: now, until: now + .hours(24), cause: .source, attempts: 3, said: "450 z")
        var batch = StoreBatch(at: now)
        batch.settled = [
            Settlement(
                key: mail.key(), ended: [],
                remaining: Work(
                    message: mail.message, domain: mail.key().domain, recipients: mail.recipients,
                    progress: row.progress))
        ]
        _ = try store.write(batch)
        #expect(try store.counts().atRelays == 1)
        #expect(try store.pastRelay(by: now + .hours(23), limit: 10).isEmpty)
        #expect(try store.pastRelay(by: now + .hours(24), limit: 10).map(\.key) == [mail.key()])
        var end = StoreBatch(at: now + .hours(24))
        end.expired = [Expiration(key: mail.key(), at: now + .hours(24))]
        let result = try store.write(end)
        #expect(result.expired.first?.ended.map(\.how) == [.expired])
        let way = RecipientReport.Way(sources: 2, attempts: 2, relay: "provider", handed: 3, said: "450 z")
        #expect(result.expired.first?.ended.first?.way == way)
    }

    @Test(arguments: StoreKind.allCases)
    func `a work comes back as it was filed, content and all`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next(to: ["ada@example.org", "\"b@b\"@example.org"], from: nil, content: "caf\u{E9}\r\n")
        var row = mail.row()
        row.progress = Progress(
            rounds: 3, due: now, tried: ["a", "b"], pinned: "c", route: "r", step: 2,
            firstRefusal: mails.refusal("450 x"),
            lastRefusal: "451 y")
        row.progress.attempts = 7
        row.progress.burned = 2
        row.progress.volumeSince = now
        row.progress.doubted = true
        row.progress.faultedAt = .dot
        row.progress.verdict = "add header"
        row.progress.relay = Progress.AtRelay(
            name: "provider", entered: now, until: now + .hours(24), cause: .source, attempts: 3, said: "450 z")
        try file(mail, in: store, [row])
        let works = try store.works([mail.key()], bytes: 1 << 20).works
        let work = try #require(works.first)
        #expect(work.key == mail.key())
        #expect(work.recipients == mail.recipients)
        #expect(work.progress == row.progress)
        #expect(work.message.sender == .null)
        #expect(work.message.customer == "acme")
        #expect(work.message.expires == mail.message.expires)
        guard case .inline(let content) = work.message.content else {
            Issue.record("content is not inline")
            return
        }
        #expect(content == ByteBuffer(string: "caf\u{E9}\r\n"))
    }

    @Test(arguments: StoreKind.allCases)
    func `a file's name is kept, with every flag`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let id = MessageID(value: 77)
        let message = QueuedMessage(
            id: id, customer: "", sender: .address(Address("\u{FC}@example.com")), eightBit: true, utf8: true,
            size: 1 << 40,
            arrived: now, expires: now + .days(1), verdict: .suspect, score: 6.5, content: .file(name: "\(id)"))
        let stored = StoredMessage(message: message, recipients: [Address("x@example.org")])
        _ = try store.write(batch { $0.accepted = [stored] })
        let found = try #require(try store.entry(id)?.message)
        #expect(found.eightBit && found.utf8)
        #expect(found.size == 1 << 40)
        #expect(found.sender == message.sender && found.verdict == .suspect && found.score == 6.5)
        guard case .file(let name) = found.content else {
            Issue.record("content is not a file")
            return
        }
        #expect(name == "\(id)")
    }

    @Test(arguments: StoreKind.allCases)
    func `loading stops when the octets run out, and says how far it came`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let all = (0..<5).map { _ in mails.next(content: String(repeating: "x", count: 100)) }
        for mail in all { try file(mail, in: store) }
        let keys = all.map { $0.key() }
        #expect(try store.works(keys, bytes: 250).looked == 3)
        #expect(try store.works(keys, bytes: 0).works.count == 1)
        #expect(try store.works(keys + [mails.next().key()], bytes: 1_000).works.count == 5)
    }

    @Test(arguments: StoreKind.allCases)
    func `rows of a domain are read in order of due time, after a position`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let all = (0..<6).map { _ in mails.next() }
        let minutes: [Int64] = [3, 1, 2, 1, 50, 0]
        for (mail, minute) in zip(all, minutes) {
            try file(mail, in: store, [mail.row(due: now + .minutes(minute))])
        }
        let other = mails.next(to: ["x@example.net"])
        try file(other, in: store)
        let soon = now + .minutes(10)
        let order = try store.positions(lane, after: .start, dueBy: soon, limit: 10)
        #expect(order.map(\.message) == [5, 1, 3, 2, 0].map { all[$0].id })
        let rest = try store.positions(lane, after: order[1], dueBy: soon, limit: 2)
        #expect(rest == Array(order[2..<4]))
        #expect(try store.positions(lane, after: order[4], dueBy: soon, limit: 2).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func `each customer's rows are a lane of their own`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        #expect(try store.customers(domain: "example.org", after: nil, limit: 5).isEmpty)
        for (customer, minute) in [("zeta", 1), ("acme", 9), ("mid", 5), ("acme", 7)] as [(String, Int64)] {
            let mail = mails.next(customer: customer)
            try file(mail, in: store, [mail.row(due: now + .minutes(minute))])
        }
        let elsewhere = mails.next(to: ["x@example.net"], customer: "elsewhere")
        try file(elsewhere, in: store, [elsewhere.row("example.net")])
        #expect(try store.customers(domain: "example.org", after: nil, limit: 5) == ["acme", "mid", "zeta"])
        #expect(try store.customers(domain: "example.org", after: "acme", limit: 1) == ["mid"])
        #expect(try store.customers(domain: "example.org", after: "zeta", limit: 1).isEmpty)
        let soon = now + .minutes(8)
        #expect(try store.positions(lane, after: .start, dueBy: soon, limit: 5).map(\.due) == [now + .minutes(7)])
        #expect(try store.earliest(afterDomain: "example.net", limit: 1).map(\.due) == [now + .minutes(1)])
    }

    @Test(arguments: StoreKind.allCases)
    func `the agenda names domains by their earliest due time`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let later = mails.next(to: ["x@later.example"])
        try file(later, in: store, [later.row("later.example", due: now + .minutes(5))])
        let first = mails.next()
        try file(first, in: store)
        let held = mails.next(to: ["x@held.example"])
        try file(held, in: store, [held.row("held.example", onAgenda: false)])
        let page = try store.agenda(dueBy: now, limit: 10)
        #expect(page.due == [AgendaEntry(domain: "example.org", due: now)])
        #expect(page.next == now + .minutes(5))
        #expect(try store.agenda(dueBy: now + .minutes(5), limit: 1).due.map(\.domain) == ["example.org"])
    }

    @Test(arguments: StoreKind.allCases)
    func `what is handed out moves the agenda, and nothing left takes the domain off it`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        try file(mails.next(), in: store)
        _ = try store.write(batch { $0.agenda = [.handedOut(domain: "example.org", next: now + .minutes(1))] })
        #expect(try due(store) == [])
        time.advance(.minutes(1))
        #expect(try due(store) == ["example.org"])
        _ = try store.write(batch { $0.agenda = [.handedOut(domain: "example.org", next: nil)] })
        #expect(try due(store) == [])
        #expect(try store.agenda(dueBy: now, limit: 1).next == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func `a postponed domain is not named before its time, whatever arrives`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        try file(mails.next(), in: store)
        let until = now + .minutes(10)
        _ = try store.write(batch { $0.agenda = [.postponed(domain: "example.org", until: until)] })
        try file(mails.next(), in: store)
        _ = try store.write(batch { $0.agenda = [.handedOut(domain: "example.org", next: now)] })
        #expect(try due(store) == [])
        #expect(try store.agenda(dueBy: now, limit: 1).next == until)
        time.advance(.minutes(10))
        #expect(try due(store) == ["example.org"])
    }

    @Test(arguments: StoreKind.allCases)
    func `bringing forward never puts off`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        try file(mails.next(), in: store)
        _ = try store.write(batch { $0.agenda = [.bringForward(domain: "example.org", due: now + .minutes(9))] })
        #expect(try due(store) == ["example.org"])
        _ = try store.write(batch { $0.agenda = [.bringForward(domain: "new.example", due: now)] })
        #expect(try due(store) == ["example.org", "new.example"])
    }

    @Test(arguments: StoreKind.allCases)
    func `every domain with waiting rows is found, in order of names, whatever the agenda says`(_ kind: StoreKind)
        throws
    {
        let store = try kind.make(in: folder)
        for domain in ["c.example", "a.example", "b.example", "a.example"] {
            let mail = mails.next(to: ["x@\(domain)"])
            time.advance(.seconds(1))
            try file(mail, in: store, [mail.row(domain, onAgenda: false)])
        }
        let first = try store.earliest(afterDomain: nil, limit: 2)
        #expect(first.map(\.domain) == ["a.example", "b.example"])
        #expect(first[0].due < first[1].due)
        #expect(try store.earliest(afterDomain: "b.example", limit: 2).map(\.domain) == ["c.example"])
        #expect(try store.earliest(afterDomain: "c.example", limit: 2).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func `state is kept`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let state = StoreState(floor: MessageID(value: 5), ceiling: MessageID(value: 1 << 62))
        _ = try store.write(batch { $0.state = state })
        if kind == .sqlite { try store.close() }
        let again = try store.open()
        #expect(again.floor == state.floor)
        #expect(again.ceiling == state.ceiling)
    }

    @Test(arguments: StoreKind.allCases)
    func `refused ids that reached the log are taken back`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next()
        try file(mail, in: store)
        _ = try store.write(batch { $0.undone = [mail.id, mails.next().id] })
        #expect(try store.entry(mail.id) == nil)
        #expect(try store.positions(lane, after: .start, dueBy: now, limit: 1).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func `existing rows are told from others`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next()
        try file(mail, in: store)
        #expect(try store.existing([mail.id, mails.next().id]) == [mail.id])
    }

    @Test(arguments: StoreKind.allCases)
    func `people see pages, filtered by customer, sender and domain`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let first = mails.next(customer: "acme")
        let second = mails.next(to: ["x@other.example"], from: nil, customer: "zeta")
        let third = mails.next(from: "kim@example.com", customer: "zeta")
        for mail in [first, second, third] { try file(mail, in: store) }
        func ids(_ filter: QueueFilter) throws -> [MessageID] { try store.entries(filter).entries.map(\.message.id) }
        #expect(try ids(QueueFilter()) == [first.id, second.id, third.id])
        #expect(try ids(QueueFilter(customer: "zeta")) == [second.id, third.id])
        #expect(try ids(QueueFilter(domain: "other.example")) == [second.id])
        #expect(try ids(QueueFilter(sender: "")) == [second.id])
        #expect(try ids(QueueFilter(sender: "example.com")) == [first.id, third.id])
        #expect(try ids(QueueFilter(sender: "kim@example.com")) == [third.id])
        let page = try store.entries(QueueFilter(limit: 2))
        #expect(page.next == second.id)
        #expect(try ids(QueueFilter(after: page.next)) == [third.id])
        #expect(try store.counts().messages == 3)
        #expect(try store.counts().domains == 2)
    }
}
