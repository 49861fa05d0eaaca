import Mail
import Queue
import RelayTesting
import Testing

@Suite struct `Handing out` {
    @Test func `a deferred work is named when it is due, handed out once, and named no more`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        rig.queue.settle([mail.deferred(due: rig.time.now() + .minutes(5))])
        try await eventually { try rig.store.counts().works == 1 }
        #expect(try await !rig.isNamed(within: 50))
        rig.time.advance(.minutes(5))
        #expect(try await rig.isNamed())
        let answer = try await rig.fetch()
        #expect(answer.works.map(\.key) == [mail.key()])
        #expect(answer.works.first?.progress.tried == ["a"])
        #expect(!answer.more)
        #expect(try rig.queue.show(mail.id)?.works.map(\.state) == [.handedOut])
        #expect(try await rig.fetch().works.isEmpty)
        try await eventually { try rig.store.agenda(dueBy: rig.time.now(), limit: 1).due.isEmpty }
        #expect(try await !rig.isNamed(within: 50))
    }

    @Test func `what Delivery has no room for is filed as due and handed out when asked`() async throws {
        let rig = try QueueRig()
        rig.dispatcher.set { $0.room = 1 }
        let mails = (0..<3).map { _ in rig.mails.next() }
        for mail in mails { await rig.commit(mail) }
        rig.dispatcher.set { $0.room = 0 }
        let more = (0..<3).map { _ in rig.mails.next() }
        for mail in more { await rig.commit(mail) }
        try await eventually { try rig.store.counts().works == 3 }
        #expect(try await rig.isNamed())
        let answer = try await rig.fetch()
        #expect(answer.works.map(\.message.id) == more.map(\.id))
    }

    @Test func `a page is limited and says that there is more`() async throws {
        let rig = try QueueRig()
        rig.dispatcher.set { $0.room = 0 }
        let mails = (0..<1_000).map { _ in rig.mails.next() }
        await rig.commit(mails)
        try await eventually { try rig.store.counts().works == 1_000 }
        var found: [MessageID] = []
        var answer = try await rig.fetch(limit: 300)
        #expect(answer.works.count == 300)
        while true {
            found += answer.works.map(\.message.id)
            guard answer.more else { break }
            answer = try await rig.fetch(limit: 300)
        }
        #expect(found == mails.map(\.id))
    }

    @Test func `octets limit a page as well`() async throws {
        let rig = try QueueRig { $0.fetchBytes = 1_000 }
        rig.dispatcher.set { $0.room = 0 }
        let mails = (0..<10).map { _ in rig.mails.next(content: String(repeating: "x", count: 400)) }
        await rig.commit(mails)
        try await eventually { try rig.store.counts().works == 10 }
        let first = try await rig.fetch()
        #expect(first.works.count == 3)
        #expect(first.more)
        #expect(try await rig.fetch().works.map(\.message.id) == mails[3..<6].map(\.id))
    }

    @Test func `a work that stays fresh too long is filed while Delivery has it, and not handed out twice`()
        async throws
    {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        #expect(try rig.queue.show(mail.id)?.works.map(\.state) == [.fresh])
        rig.time.advance(.seconds(3))
        try await eventually { try rig.store.counts().works == 1 }
        #expect(try rig.queue.show(mail.id)?.works.map(\.state) == [.handedOut])
        #expect(try await rig.fetch().works.isEmpty)
        #expect(try await !rig.isNamed(within: 50))
        rig.queue.settle([mail.delivered()])
        try await eventually { try rig.store.counts().messages == 0 }
    }

    @Test func `a work given back unchanged is handed out again, also behind the cursor`() async throws {
        let rig = try QueueRig()
        rig.dispatcher.set { $0.room = 0 }
        let mails = (0..<5).map { _ in rig.mails.next() }
        await rig.commit(mails)
        try await eventually { try rig.store.counts().works == 5 }
        let works = try await rig.fetch().works
        #expect(works.count == 5)
        rig.queue.settle([Settlement(key: works[1].key, ended: [], remaining: works[1])])
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.map(\.key) == [works[1].key])
    }

    @Test func `a work that Delivery keeps is recorded but not handed out`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        var settlement = mail.deferred(due: rig.time.now())
        settlement.stillHandedOut = true
        rig.queue.settle([settlement])
        try await eventually { try rig.store.counts().works == 1 }
        #expect(try await rig.fetch().works.isEmpty)
        rig.queue.settle([mail.deferred(due: rig.time.now())])
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.map(\.progress.rounds) == [1])
    }

    @Test func `one domain of two may end, the other is tried again`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next(to: ["a@example.org", "x@example.net"])
        await rig.commit(mail)
        rig.queue.settle([mail.delivered()])
        try await eventually { try rig.queue.show(mail.id)?.works.map(\.domain) == ["example.net"] }
        #expect(try rig.queue.show(mail.id)?.works.map(\.state) == [.handedOut])
        rig.queue.settle([mail.deferred("example.net", due: rig.time.now())])
        #expect(try await rig.isNamed("example.net"))
        #expect(try await rig.fetch("example.net").works.map(\.key) == [mail.key("example.net")])
        rig.queue.settle([mail.delivered("example.net")])
        try await eventually { try rig.store.counts().messages == 0 }
    }

    @Test func `a recipient that fails at the first attempt is kept with its reason`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        rig.queue.settle([mail.ended(how: .failed, reason: "550 5.1.1 no such user")])
        try await eventually { try rig.queue.show(mail.id)?.untold.map(\.reason) == ["550 5.1.1 no such user"] }
        #expect(try rig.queue.show(mail.id)?.works.isEmpty == true)
    }

    @Test func `a settlement that forgets a recipient loses nobody`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next(to: ["a@example.org", "b@example.org"])
        await rig.commit(mail)
        var settlement = mail.delivered()
        settlement.ended.removeFirst()
        rig.queue.settle([settlement])
        try await eventually { try rig.queue.show(mail.id)?.works.first?.recipients == [Address("a@example.org")] }
        rig.time.advance(.minutes(5))
        #expect(try await rig.isNamed())
    }

    @Test func `a postponed domain is named when its time has come`() async throws {
        let rig = try QueueRig()
        rig.dispatcher.set { $0.room = 0 }
        await rig.commit(rig.mails.next())
        #expect(try await rig.isNamed())
        rig.queue.postpone(domain: "example.org", until: rig.time.now() + .minutes(10))
        try await eventually { try rig.store.agenda(dueBy: rig.time.now(), limit: 1).due.isEmpty }
        try await Task.sleep(for: .milliseconds(20))
        #expect(try await !rig.isNamed(within: 50))
        rig.time.advance(.minutes(10))
        #expect(try await rig.isNamed())
    }

    @Test func `many due domains are named page after page while Delivery takes them`() async throws {
        // With an hour between ticks only the first page would ever be named.
        let rig = try QueueRig(start: false) {
            $0.dueDomains = 10
            $0.tick = .hours(1)
        }
        var batch = StoreBatch(at: rig.time.now())
        for number in 0..<80 {
            let mail = rig.mails.next(to: ["u@d\(number).example"])
            batch.accepted.append(mail.stored)
            batch.filed.append(mail.row("d\(number).example"))
        }
        _ = try rig.store.write(batch)
        try rig.queue.start()
        var asked: Set<String> = []
        for _ in 0..<10_000 where asked.count < 80 {
            for domain in rig.dispatcher.notes.due.joined() where asked.insert(domain).inserted {
                rig.queue.fetch(domain: domain, limit: 10)
            }
            try await Task.sleep(for: .milliseconds(1))
        }
        try await eventually { rig.dispatcher.notes.fetched.reduce(0) { $0 + $1.works.count } == 80 }
    }

    @Test func `many domains and rounds end with nothing left and nothing handed out twice`() async throws {
        let rig = try QueueRig()
        let mails = (0..<300).map { number in
            rig.mails.next(to: (0..<3).map { "u@d\((number * 3 + $0) % 50).example" })
        }
        rig.dispatcher.set { $0.room = 10 }
        for start in stride(from: 0, to: 300, by: 60) { await rig.commit(Array(mails[start..<start + 60])) }
        try await eventually { rig.dispatcher.notes.arrived.reduce(0) { $0 + $1.count } == 900 }
        var out: Set<WorkKey> = []
        for batch in rig.dispatcher.notes.arrived { out.formUnion(batch.prefix(10).map(\.key)) }
        var seen = 0
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<4_000 {
            for answer in rig.dispatcher.notes.fetched.dropFirst(seen) {
                seen += 1
                for work in answer.works { #expect(out.insert(work.key).inserted, "handed out twice") }
            }
            for key in out.shuffled(using: &generator).prefix(40) {
                out.remove(key)
                guard let mail = mails.first(where: { $0.id == key.message }) else { continue }
                let later = Bool.random(using: &generator)
                rig.queue.settle([later ? mail.deferred(key.domain, due: rig.time.now()) : mail.delivered(key.domain)])
            }
            for domain in rig.dispatcher.notes.due.last ?? [] { rig.queue.fetch(domain: domain, limit: 7) }
            rig.time.advance(.seconds(1))
            try await Task.sleep(for: .milliseconds(2))
            if out.isEmpty, try rig.store.counts().messages == 0 { return }
        }
        Issue.record("\(try rig.store.counts()) left, \(out.count) handed out")
    }
}
