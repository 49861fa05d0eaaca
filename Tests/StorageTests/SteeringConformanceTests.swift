import Mail
import Queue
import RelayTesting
import Testing

/// What operators do with filed works, in every store.
@Suite struct `A steered work` {
    let folder = Folder()
    let time = ManualTime()
    let mails: Mails
    let lane = Lane(domain: "example.org", customer: "acme")
    var now: Timestamp { time.now() }

    init() {
        mails = Mails(time)
    }

    func filed(_ all: [Accepted], _ kind: StoreKind) throws -> any QueueStore {
        let store = try kind.make(in: folder)
        var batch = StoreBatch(at: now)
        batch.accepted = all.map(\.stored)
        batch.filed = all.flatMap { mail in Set(mail.recipients.map(\.domain)).sorted().map { mail.row($0) } }
        _ = try store.write(batch)
        return store
    }

    @discardableResult
    func steer(_ key: WorkKey, _ change: Steering.Change, in store: any QueueStore) throws -> Steered {
        var batch = StoreBatch(at: now)
        batch.steered = [Steering(key: key, change: change)]
        return try #require(try store.write(batch).steered.first)
    }

    func hold(_ key: WorkKey, in store: any QueueStore) throws -> Bool {
        try steer(key, .hold(Hold(at: now, by: "root (uid 0)", reason: "why")), in: store).changed
    }

    func due(_ store: any QueueStore, by time: Timestamp? = nil) throws -> [MessageID] {
        try store.positions(lane, after: .start, dueBy: time ?? now, limit: 10).map(\.message)
    }

    @Test(arguments: StoreKind.allCases)
    func `that is held is neither due, nor expires, nor has a lane, until it is released`(_ kind: StoreKind) throws {
        let mail = mails.next(lives: .hours(2))
        let store = try filed([mail], kind)
        #expect(try hold(mail.key(), in: store))
        #expect(try !hold(mail.key(), in: store), "a second hold changes nothing")
        time.advance(.hours(3))
        #expect(try due(store).isEmpty)
        #expect(try store.customers(domain: "example.org", after: nil, limit: 5).isEmpty)
        #expect(try store.earliest(afterDomain: nil, limit: 5).isEmpty)
        #expect(try store.expired(by: now, after: nil, limit: 5).isEmpty)
        #expect(try store.entry(mail.id)?.works.first?.hold?.reason == "why")
        #expect(
            try store.counts()
                == QueueCounts(messages: 1, works: 1, held: 1, domains: store.counts().domains, untold: 0)
        )
        let released = try steer(mail.key(), .release, in: store)
        #expect(released.changed && released.due == now)
        #expect(try due(store) == [mail.id])
        #expect(try store.counts().held == 0)
        // As much time is left as there was.
        #expect(try store.works([mail.key()], bytes: 1_000).works.first?.message.expires == now + .hours(2))
        #expect(try store.expired(by: now + .minutes(119), after: nil, limit: 5).isEmpty)
        #expect(try store.expired(by: now + .hours(2), after: nil, limit: 5).map(\.key) == [mail.key()])
        #expect(try !steer(mail.key(), .release, in: store).changed, "it is not held")
    }

    @Test(arguments: StoreKind.allCases)
    func `stays held whatever its attempt comes to, and ends by it`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.org"])
        let store = try filed([mail], kind)
        #expect(try hold(mail.key(), in: store))
        var batch = StoreBatch(at: now)
        batch.settled = [mail.deferred(due: now)]
        _ = try store.write(batch)
        #expect(try due(store).isEmpty)
        #expect(try store.entry(mail.id)?.works.first?.hold != nil)
        batch = StoreBatch(at: now)
        batch.settled = [mail.delivered()]
        _ = try store.write(batch)
        #expect(try store.entry(mail.id) == nil)
        #expect(try store.counts().held == 0)
    }

    @Test(arguments: StoreKind.allCases)
    func `that is deleted takes its message with it, once`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.net"], file: true)
        let store = try filed([mail], kind)
        let end = Steering.Change.end(SteeredEnd(how: .deleted, reason: "x"))
        #expect(try steer(mail.key(), end, in: store).ended.map(\.recipient.description) == ["a@example.org"])
        #expect(try !steer(mail.key(), end, in: store).changed)
        var batch = StoreBatch(at: now)
        batch.steered = [Steering(key: mail.key("example.net"), change: end)]
        let result = try store.write(batch)
        #expect(result.files == ["\(mail.id)"])
        #expect(try store.entry(mail.id) == nil)
        #expect(try store.counts().messages == 0)
        batch.steered = []
        batch.settled = [mail.delivered("example.net")]
        #expect(try store.write(batch).files.isEmpty, "what comes back later ends nothing a second time")
    }

    @Test(arguments: StoreKind.allCases)
    func `of which some recipients are ended goes on with the others`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.org", "c@example.org"])
        let store = try filed([mail], kind)
        let b = Address("b@example.org")
        let first = try steer(
            mail.key(), .end(SteeredEnd(how: .failed, reason: "gone", recipients: [b])), in: store)
        #expect(first.ended.map(\.recipient) == [b])
        #expect(first.due == now)
        let entry = try #require(try store.entry(mail.id))
        #expect(entry.works.first?.recipients.map(\.localPart) == ["a", "c"])
        #expect(entry.untold.map(\.recipient) == [b])
        #expect(entry.untold.map(\.reason) == ["gone"])
        // Held only to be ended: those who are left go on.
        #expect(try hold(mail.key(), in: store))
        let again = SteeredEnd(how: .deleted, reason: "x", recipients: [Address("a@example.org")], isRelease: true)
        #expect(try steer(mail.key(), .end(again), in: store).due == now)
        #expect(try due(store) == [mail.id])
        // Held by somebody: they stay held.
        #expect(try hold(mail.key(), in: store))
        let nobody = SteeredEnd(how: .deleted, reason: "x", recipients: [b])
        #expect(try !steer(mail.key(), .end(nobody), in: store).changed)
        #expect(try due(store).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func `that is retried is due at once, though its domain was postponed`(_ kind: StoreKind) throws {
        let mail = mails.next()
        let store = try kind.make(in: folder)
        var batch = StoreBatch(at: now)
        batch.accepted = [mail.stored]
        batch.filed = [mail.row(due: now + .hours(2))]
        batch.agenda = [.postponed(domain: "example.org", until: now + .hours(3))]
        _ = try store.write(batch)
        let retried = try steer(mail.key(), .retry, in: store)
        #expect(retried.changed && retried.due == now)
        #expect(try due(store) == [mail.id])
        #expect(try store.agenda(dueBy: now, limit: 5).due == [AgendaEntry(domain: "example.org", due: now)])
        #expect(try hold(mail.key(), in: store))
        #expect(try !steer(mail.key(), .retry, in: store).changed, "held mail is not tried")
    }

    @Test(arguments: StoreKind.allCases)
    func `is counted once however its parts stand`(_ kind: StoreKind) throws {
        let all = (0..<4).map { _ in mails.next(to: ["a@example.org", "b@example.net"]) }
        let store = try filed(all, kind)
        // One part of the first held, both of the second, one of the third held and released again.
        for key in [all[0].key(), all[1].key(), all[1].key("example.net"), all[2].key()] {
            #expect(try hold(key, in: store))
        }
        time.advance(.hours(1))
        try steer(all[2].key(), .release, in: store)
        let counts = try store.counts()
        #expect(counts.messages == 4)
        #expect(counts.works == 8)
        #expect(counts.held == 3)
    }

    @Test(arguments: StoreKind.allCases)
    func `is found in pages that never part a message`(_ kind: StoreKind) throws {
        let all = (0..<10).map {
            mails.next(to: ["a@example.org", "b@example.net"], customer: $0 % 2 == 0 ? "acme" : "z")
        }
        let store = try filed(all, kind)
        #expect(try hold(all[0].key(), in: store))
        var found: [FiledWork] = []
        var after = MessageID(value: 0)
        while true {
            let page = try store.filed(QueueFilter(), after: after, limit: 5)
            #expect(page.looked <= 6)
            found += page.works
            guard let next = page.next else { break }
            after = next
        }
        #expect(found.map(\.key) == all.flatMap { [$0.key("example.net"), $0.key()] })
        #expect(found[1].part.hold != nil && found[0].part.hold == nil)
        var filter = QueueFilter(domain: "example.org", customer: "z", sender: "eve@example.com")
        #expect(try store.filed(filter, after: MessageID(value: 0), limit: 100).works.count == 5)
        filter.sender = ""
        #expect(try store.filed(filter, after: MessageID(value: 0), limit: 100).works.isEmpty)
        #expect(try store.unfiled(after: MessageID(value: 0), limit: 10).isEmpty)
    }

    @Test func `is counted by domain, state and age, in pages`() throws {
        let old = (0..<7).map { _ in mails.next(to: ["a@example.org", "b@example.net"]) }
        time.advance(.hours(2))
        let young = (0..<5).map { _ in mails.next(customer: "z") }
        let store = try filed(old + young, .sqlite)
        #expect(try hold(old[0].key(), in: store))
        #expect(try hold(young[0].key(), in: store))
        var batch = StoreBatch(at: now)
        batch.settled = [old[1].deferred(due: now + .hours(1))]
        _ = try store.write(batch)
        let ages = [MessageID.before(now + .hours(-1))]
        func found(_ limit: Int) throws -> [String: CensusCounts] {
            var all: [String: CensusCounts] = [:]
            var place: CensusPlace? = .start
            while let from = place {
                let page = try store.census(from: from, limit: limit, dueBy: now, ages: ages)
                for (domain, counts) in page.counts {
                    var sum = all[domain] ?? CensusCounts()
                    for age in 0..<2 {
                        sum.waiting[age] += counts.waiting[age]
                        sum.due[age] += counts.due[age]
                        sum.held[age] += counts.held[age]
                    }
                    all[domain] = sum
                }
                place = page.next
            }
            return all
        }
        for limit in [1, 2, 5, 100] {
            let counts = try found(limit)
            #expect(Array(counts["example.org"]?.due.prefix(2) ?? []) == [4, 5])
            #expect(Array(counts["example.org"]?.waiting.prefix(2) ?? []) == [0, 1])
            #expect(Array(counts["example.org"]?.held.prefix(2) ?? []) == [1, 1])
            #expect(Array(counts["example.net"]?.due.prefix(2) ?? []) == [0, 7])
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `that is fresh is found beside those that are filed`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let all = (0..<3).map { _ in mails.next() }
        var batch = StoreBatch(at: now)
        batch.accepted = all.map(\.stored)
        batch.filed = [all[1].row()]
        _ = try store.write(batch)
        #expect(try store.unfiled(after: MessageID(value: 0), limit: 10).map(\.message.id) == [all[0].id, all[2].id])
        #expect(try store.unfiled(after: all[0].id, limit: 10).map(\.message.id) == [all[2].id])
    }
}
