import Mail
import Queue
import RelayTesting
import Testing

/// A queue so deep that nothing may be done with all of it at once.
@Suite struct `A deep queue` {
    /// Filed works of one message each, before the queue is started.
    func fill(_ rig: QueueRig, _ domains: [String], lives: Timestamp.Span = .days(5)) throws -> [Accepted] {
        let mails = domains.map { rig.mails.next(to: ["u@\($0)"], lives: lives) }
        var batch = StoreBatch(at: rig.time.now())
        for (mail, domain) in zip(mails, domains) {
            batch.accepted.append(mail.stored)
            batch.filed.append(mail.row(domain))
        }
        _ = try rig.store.write(batch)
        return mails
    }

    @Test func `domains that nobody takes up are named in turn, and what comes due meanwhile before them`() async throws
    {
        let rig = try QueueRig(start: false) {
            $0.dueDomains = 10
            $0.pageEvery = Timestamp.Span(milliseconds: 5)
        }
        let domains = (0..<100).map { "d\($0).example" }
        _ = try fill(rig, domains)
        try rig.queue.start()
        try await eventually { Set(rig.dispatcher.notes.due.joined()) == Set(domains) }
        let named = rig.dispatcher.notes.due.joined().count
        try await eventually { rig.dispatcher.notes.due.joined().count > named + 300 }
        let again = rig.dispatcher.notes.due.joined().dropFirst(named)
        #expect(Set(again) == Set(domains))
        rig.dispatcher.set { $0.room = 0 }
        let late = rig.mails.next(to: ["u@late.example"])
        await rig.commit(late)
        try await eventually { try rig.store.agenda(dueBy: rig.time.now(), limit: 200).due.count == 101 }
        let pages = rig.dispatcher.notes.due.count
        #expect(try await rig.isNamed("late.example"))
        let first = rig.dispatcher.notes.due.firstIndex { $0.contains("late.example") } ?? .max
        #expect(first <= pages + 2, "not behind a hundred others")
        #expect(rig.dispatcher.notes.due.allSatisfy { $0.count <= 10 })
    }

    @Test func `a work that comes back as it was writes no row and is handed out again`() async throws {
        let rig = try QueueRig(start: false)
        let mails = try fill(rig, ["example.org"])
        try rig.queue.start()
        #expect(try await rig.isNamed())
        var work = try #require(try await rig.fetch().works.first)
        // What no row is written for cannot be seen in the row.
        work.progress.lastRefusal = "450 later"
        rig.queue.settle([Settlement(key: work.key, ended: [], remaining: work, unchanged: true)])
        #expect(try await rig.isNamed())
        let again = try #require(try await rig.fetch().works.first)
        #expect(again.key == mails[0].key())
        #expect(again.progress.lastRefusal == nil)
    }

    @Test func `a customer's newsletter in the store does not stand before another's letter`() async throws {
        let rig = try QueueRig(start: false)
        var batch = StoreBatch(at: rig.time.now())
        for _ in 0..<1_000 {
            let news = rig.mails.next(customer: "news")
            batch.accepted.append(news.stored)
            batch.filed.append(news.row())
        }
        let letters = (0..<3).map { _ in rig.mails.next(customer: "writer") }
        for letter in letters {
            batch.accepted.append(letter.stored)
            batch.filed.append(letter.row(due: rig.time.now() + .minutes(1)))
        }
        _ = try rig.store.write(batch)
        try rig.queue.start()
        rig.time.advance(.minutes(2))
        let (works, more) = try await rig.fetch(limit: 100)
        #expect(works.count == 100 && more)
        #expect(works.filter { $0.message.customer == "writer" }.map(\.message.id) == letters.map(\.id))
        var rest: [MessageID] = works.map(\.message.id)
        while true {
            let (works, more) = try await rig.fetch(limit: 300)
            rest += works.map(\.message.id)
            guard more else { break }
        }
        #expect(rest.count == 1_003 && Set(rest).count == 1_003)
    }

    @Test func `more customers than a page has room for take turns`() async throws {
        let rig = try QueueRig(start: false)
        var batch = StoreBatch(at: rig.time.now())
        for number in 0..<60 {
            let mail = rig.mails.next(customer: "c\(number % 20 + 10)")
            batch.accepted.append(mail.stored)
            batch.filed.append(mail.row())
        }
        _ = try rig.store.write(batch)
        try rig.queue.start()
        var seen: [String] = []
        for page in 1...12 {
            let works = try await rig.fetch(limit: 5).works
            seen += works.map(\.message.customer)
            #expect(works.count == 5)
            if page == 4 { #expect(Set(seen).count == 20, "each has had a turn before anyone has a second") }
        }
        let last = try await rig.fetch(limit: 5)
        #expect(last.works.isEmpty && !last.more)
    }

    @Test func `deadlines that pass together are ended a page at a time`() async throws {
        let rig = try QueueRig(start: false) {
            $0.expiredWorks = 100
            $0.pageEvery = Timestamp.Span(milliseconds: 1)
        }
        let mails = try fill(rig, (0..<1_250).map { "d\($0).example" }, lives: .seconds(60))
        rig.dispatcher.set { $0.onWire = [mails[5].key("d5.example")] }
        rig.time.advance(.seconds(61))
        try rig.queue.start()
        try await eventually { try rig.store.counts().untold == 1_249 }
        #expect(rig.dispatcher.notes.asked.allSatisfy { $0.count <= 100 })
        #expect(try rig.store.counts().works == 1)
        rig.time.advance(.minutes(16))
        try await eventually { try rig.store.counts().works == 0 }
    }

    @Test func `settlements that come together are written a thousand at a time, in order`() async throws {
        let rig = try QueueRig(start: false) { $0.batchSettlements = 10 }
        let mails = try fill(rig, (0..<95).map { "d\($0).example" })
        try rig.queue.start()
        let before = rig.store.writes
        let later = mails.enumerated().map { $1.deferred("d\($0).example", due: rig.time.now() + .hours(1)) }
        let ended = mails.enumerated().map { $1.delivered("d\($0).example") }
        rig.queue.settle(later + ended)
        try await eventually { try rig.store.counts().messages == 0 }
        #expect(rig.store.writes >= before + 19)
    }

    @Test func `what was settled before the end is written, however much it is`() async throws {
        let store: MemoryStore
        do {
            let rig = try QueueRig(start: false) { $0.batchSettlements = 10 }
            store = rig.store
            let mails = try fill(rig, (0..<95).map { "d\($0).example" })
            try rig.queue.start()
            rig.queue.settle(mails.enumerated().map { $1.delivered("d\($0).example") })
            rig.queue.stop()
        }
        #expect(try store.counts().messages == 0)
    }
}
