import Mail
import Queue
import RelayTesting
import Testing

/// What operators do with a running queue.
@Suite struct `Steering` {
    let rig: QueueRig

    init() throws {
        rig = try QueueRig()
    }

    /// Messages that wait for their second attempt in an hour.
    func deferred(_ count: Int, to recipients: [String] = ["ada@example.org"]) async throws -> [Accepted] {
        let all = (0..<count).map { _ in rig.mails.next(to: recipients) }
        await rig.commit(all)
        let domains = Set(recipients.map { Address($0).domain })
        let due = rig.time.now() + .hours(1)
        rig.queue.settle(all.flatMap { mail in domains.map { mail.deferred($0, due: due) } })
        try await eventually {
            try all.allSatisfy { try states($0) == Array(repeating: .waiting, count: domains.count) }
        }
        return all
    }

    func order(_ verb: SteeringOrder.Verb) -> SteeringOrder { SteeringOrder(verb, by: "root (uid 0)", reason: "why") }

    /// On a thread of its own, as a command's.
    @discardableResult
    func steer(
        _ verb: SteeringOrder.Verb, _ filter: QueueFilter = QueueFilter(), isDry: Bool = false
    ) async throws -> SteeringCount {
        let (queue, order) = (rig.queue, order(verb))
        return try await OwnThread.run { () throws -> SteeringCount in try queue.steer(order, filter, isDry: isDry) }
    }

    func states(_ mail: Accepted) throws -> [QueueEntry.State]? { try rig.queue.show(mail.id)?.works.map(\.state) }

    func ends() -> [TraceEvent.End] {
        rig.trace.events.compactMap { if case .ended(let end) = $0 { end } else { nil } }
    }

    func steered() -> [TraceEvent.Steered] {
        rig.trace.events.compactMap { if case .steered(let event) = $0 { event } else { nil } }
    }

    @Test func `what is held is not handed out until it is released, and then at once`() async throws {
        let mail = try await deferred(3)
        var filter = QueueFilter()
        filter.ids = [mail[1].id]
        let held = try await steer(.hold, filter)
        #expect(held.messages == 1 && held.recipients == 1 && held.examples == [mail[1].id])
        #expect(try states(mail[1]) == [.held])
        #expect(steered().map(\.how) == [.held])
        #expect(steered().first?.by == "root (uid 0)" && steered().first?.reason == "why")
        rig.time.advance(.hours(2))
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.map(\.key) == [mail[0].key(), mail[2].key()])
        rig.queue.settle([mail[0].delivered(), mail[2].delivered()])
        try await eventually { try rig.store.counts().works == 1 }
        let released = try await steer(.release)
        #expect(released.messages == 1)
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.map(\.key) == [mail[1].key()])
        #expect(steered().map(\.how) == [.held, .released])
    }

    @Test func `a dry run counts and changes nothing`() async throws {
        let mail = try await deferred(4)
        let count = try await steer(.delete, QueueFilter(domain: "example.org"), isDry: true)
        #expect(count.messages == 4 && count.examples == mail.map(\.id))
        #expect(try rig.store.counts().works == 4)
        #expect(try await steer(.delete, QueueFilter(domain: "example.net"), isDry: true).messages == 0)
        #expect(ends().isEmpty)
    }

    @Test func `what is deleted ends once, and nobody is told`() async throws {
        let mail = try await deferred(2)
        #expect(try await steer(.delete).messages == 2)
        #expect(try rig.store.counts().messages == 0)
        #expect(try rig.store.counts().untold == 0)
        #expect(ends().map(\.message) == mail.map(\.id))
        #expect(ends().allSatisfy { $0.how == .deleted && $0.reason == "deleted by root (uid 0): why" })
        #expect(try await steer(.delete).messages == 0)
        rig.time.advance(.hours(2))
        rig.queue.settle([mail[0].delivered()])
        await rig.commit(rig.mails.next(to: ["x@example.net"]))
        #expect(ends().count == 2)
    }

    @Test func `what is bounced is kept until its sender is told`() async throws {
        let mail = try await deferred(1, to: ["ada@example.org", "bob@example.org"])[0]
        #expect(try await steer(.bounce).recipients == 2)
        let untold = try #require(try rig.queue.show(mail.id)?.untold)
        #expect(untold.map(\.kind) == [.failed, .failed])
        #expect(untold.allSatisfy { $0.reason == "returned by the administrator of this relay: why" })
        #expect(ends().map(\.how) == [.failed])
        #expect(ends().map(\.recipients) == [mail.recipients])
    }

    @Test func `one recipient is ended and the others go on`() async throws {
        let mail = try await deferred(1, to: ["ada@example.org", "bob@example.org"])[0]
        var filter = QueueFilter()
        filter.recipient = "bob@example.org"
        let count = try await steer(.delete, filter)
        #expect(count.messages == 1 && count.recipients == 1)
        #expect(try rig.queue.show(mail.id)?.works.map(\.recipients) == [[Address("ada@example.org")]])
        #expect(ends().map(\.recipients) == [[Address("bob@example.org")]])
        rig.time.advance(.hours(1))
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.map(\.recipients) == [[Address("ada@example.org")]])
    }

    @Test func `what is retried is due now, its domain named, and what stood in its way is forgotten`() async throws {
        let mail = try await deferred(2)
        rig.queue.postpone(domain: "example.org", until: rig.time.now() + .hours(5))
        let count = try await steer(.retry)
        #expect(count.messages == 2)
        #expect(rig.dispatcher.notes.lifted == [["example.org"]])
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.count == 2)
        #expect(steered().map(\.how) == [.retried, .retried])
        // They are with Delivery now.
        #expect(try await steer(.retry).messages == 0)
        rig.queue.settle(mail.map { $0.delivered() })
    }

    @Test func `what is released while its domain is read is handed out all the same`() async throws {
        let mail = try await deferred(1)[0]
        try await steer(.hold)
        rig.time.advance(.hours(2))
        rig.store.pageGate.shut()
        rig.queue.fetch(domain: "example.org", limit: 100)
        try await eventually { rig.store.pageGate.isHolding }
        #expect(try await steer(.release).messages == 1)
        rig.store.pageGate.open()
        try await eventually { rig.dispatcher.notes.fetched.count == 1 }
        #expect(rig.dispatcher.notes.fetched[0].works.isEmpty, "the page had been read")
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.map(\.key) == [mail.key()])
    }

    @Test func `what is retried while its domain is read is tried all the same`() async throws {
        let mail = try await deferred(1)[0]
        rig.store.pageGate.shut()
        rig.queue.fetch(domain: "example.org", limit: 100)
        try await eventually { rig.store.pageGate.isHolding }
        let count = try await steer(.retry)
        #expect(count.messages == 1 && count.inHand == 0)
        rig.store.pageGate.open()
        // The page had not come to its row yet.
        try await eventually { rig.dispatcher.notes.fetched.contains { $0.works.map(\.key) == [mail.key()] } }
    }

    @Test func `an order is answered that finds everything with Delivery`() async throws {
        let mail = try await deferred(1)[0]
        rig.time.advance(.hours(2))
        rig.store.writeGate.shut()
        let other = Answers(1)
        rig.queue.commit(rig.mails.next(to: ["bob@example.net"])) { other.add($0) }
        try await eventually { rig.store.writeGate.isHolding }
        async let count = steer(.retry)
        // It has been looked for, and is handed out before the commit thread comes to it.
        try await eventually { rig.dispatcher.notes.lifted.contains { $0.contains("example.org") } }
        #expect(try await rig.fetch().works.map(\.key) == [mail.key()])
        rig.store.writeGate.open()
        let answered = try await count
        #expect(answered.messages == 0 && answered.inHand == 1)
    }

    @Test func `fresh mail is held as well: Delivery gives back what is not on the wire`() async throws {
        let (memory, wire) = (rig.mails.next(), rig.mails.next())
        await rig.commit(memory, wire)
        rig.dispatcher.set { $0.onWire = [wire.key()] }
        let queue = rig.queue
        rig.dispatcher.onRecall { key in
            queue.settle([Settlement(key: key, ended: [], remaining: memory.work, unchanged: true)])
        }
        let count = try await steer(.hold)
        #expect(count.messages == 2 && count.onWire == 1)
        try await eventually { try states(memory) == [.held] }
        #expect(try states(wire) == [.handedOut])
        // It fails, and is held; it would have been due.
        rig.queue.settle([wire.deferred(due: rig.time.now())])
        try await eventually { try states(wire) == [.held] }
        rig.time.advance(.hours(1))
        #expect(try await rig.fetch().works.isEmpty)
    }

    @Test func `what is with Delivery is deleted when it came back, and by its attempt where that succeeds`()
        async throws
    {
        let (memory, wire) = (rig.mails.next(), rig.mails.next())
        await rig.commit(memory, wire)
        rig.dispatcher.set { $0.onWire = [wire.key()] }
        let queue = rig.queue
        rig.dispatcher.onRecall { key in
            queue.settle([Settlement(key: key, ended: [], remaining: memory.work, unchanged: true)])
        }
        let count = try await steer(.delete)
        #expect(count.messages == 1 && count.onWire == 1 && count.examples == [memory.id])
        #expect(ends().map(\.message) == [memory.id])
        #expect(try rig.queue.show(memory.id) == nil)
        #expect(try rig.queue.show(wire.id)?.works.first?.hold?.reason == "delete: why")
        rig.queue.settle([wire.delivered()])
        try await eventually { try rig.store.counts().messages == 0 }
        #expect(ends().map(\.message) == [memory.id], "it was delivered, which its attempt tells")
    }

    @Test func `a settlement that is under way counts before a deletion does`() async throws {
        let mail = rig.mails.next()
        await rig.commit(mail)
        let queue = rig.queue
        // Delivery no longer has it, and what came of it is about to be told.
        rig.dispatcher.onRecall { _ in queue.settle([mail.delivered()]) }
        let count = try await steer(.delete)
        #expect(count.messages == 0 && count.unchanged == 1)
        #expect(ends().isEmpty)
        #expect(try rig.store.counts().messages == 0)
    }

    @Test func `filters mean what they say`() async throws {
        let mail = try await deferred(2, to: ["ada@example.org", "bob@example.net"])
        rig.time.advance(.minutes(10))
        let young = try await deferred(1)[0]
        rig.dispatcher.set { $0.sites = ["example.net": SiteNote(name: "mx.net")] }
        let queue = rig.queue
        func found(_ change: (inout QueueFilter) -> Void) async throws -> [Int] {
            var filter = QueueFilter()
            change(&filter)
            let counted = filter
            let count = try await OwnThread.run { () throws -> SteeringCount in
                try queue.steer(SteeringOrder(.hold, by: "", reason: ""), counted, isDry: true)
            }
            return [count.messages, count.recipients]
        }
        let then = rig.time.now() + .minutes(-9)
        #expect(try await found { _ in } == [3, 5])
        #expect(try await found { $0.domain = "example.net" } == [2, 2])
        #expect(try await found { $0.recipient = "ada@example.org" } == [3, 3])
        #expect(try await found { $0.sender = "example.com" } == [3, 5])
        #expect(try await found { $0.sender = "" } == [0, 0])
        #expect(try await found { $0.customer = "zeta" } == [0, 0])
        #expect(try await found { $0.before = then } == [2, 4])
        #expect(try await found { $0.since = then } == [1, 1])
        #expect(try await found { $0.reply = "LATER" } == [3, 5])
        #expect(try await found { $0.reply = "sooner" } == [0, 0])
        #expect(try await found { $0.site = "mx.net" } == [2, 2])
        #expect(try await found { $0.sources = ["a"] } == [0, 0])
        #expect(try await found { $0.states = [.held] } == [0, 0])
        #expect(try await found { $0.states = [.waiting] } == [3, 5])
        #expect(try await found { $0.ids = [young.id, mail[0].id] } == [2, 3])
        #expect(
            try await found {
                $0.ids = [young.id, mail[0].id]; $0.domain = "example.net"
            } == [1, 1])
        rig.time.advance(.hours(1))
        #expect(try await found { $0.states = [.due] } == [3, 5])
    }

    @Test func `a summary tells how much, how old, why and what is next`() async throws {
        let mail = try await deferred(2, to: ["ada@example.org", "bob@example.net"])
        var filter = QueueFilter()
        filter.ids = [mail[0].id]
        filter.domain = "example.net"
        try await steer(.hold, filter)
        let until = rig.time.now() + .hours(2)
        rig.dispatcher.set { $0.sites = ["example.org": SiteNote(name: "mx.org", until: until, why: "no answer")] }
        let queue = rig.queue
        let summary = try #require(
            try await OwnThread.run { () throws -> QueueSummary? in try queue.summary(QueueFilter()) })
        #expect(summary.total.messages == 2 && summary.total.recipients == 4)
        #expect(summary.sites.map(\.name) == ["example.net", "mx.org"])
        #expect(summary.sites[0].states == [.waiting: 1, .held: 1])
        #expect(summary.sites[0].reasons.map(\.text).sorted() == ["450 later", "held: why"])
        #expect(summary.sites[0].next == rig.time.now() + .hours(1))
        #expect(summary.sites[1].until == until && summary.sites[1].why == "no answer")
        #expect(summary.customers.map(\.name) == ["acme"])
        #expect(summary.customers[0].messages == 2 && summary.customers[0].oldest == mail[0].id.accepted)
    }

    @Test func `a census counts by receiver, state and age, and again after a while`() async throws {
        let mail = try await deferred(3, to: ["ada@example.org", "bob@example.net"])
        var filter = QueueFilter()
        filter.ids = [mail[0].id]
        try await steer(.hold, filter)
        rig.dispatcher.set { $0.sites = ["example.org": SiteNote(name: "mx.org")] }
        let census = QueueCensus(rig.queue)
        let first = try census.figures()
        #expect(first.at == rig.time.now())
        #expect(first.sites.map(\.name) == ["example.net", "mx.org"])
        #expect(first.sites.map(\.counts.total) == [3, 3])
        #expect(first.sites[1].counts.held == [1, 0, 0, 0, 0])
        #expect(first.sites[1].counts.waiting == [2, 0, 0, 0, 0])
        rig.time.advance(.seconds(10))
        #expect(try census.figures().at == first.at)
        rig.time.advance(.hours(2))
        let second = try census.figures()
        #expect(second.sites[1].counts.due == [0, 0, 2, 0, 0])
        #expect(second.others.total == 0)
    }

    @Test func `new mail is committed while thousands are held, and whoever goes away stops the rest`() async throws {
        rig.dispatcher.set { $0.room = 0 }
        let all = (0..<5_000).map { _ in rig.mails.next() }
        for start in stride(from: 0, to: all.count, by: 1_000) {
            await rig.commit(Array(all[start..<start + 1_000]))
        }
        try await eventually { try rig.store.counts().works == 5_000 }
        let queue = rig.queue
        let order = order(.hold)
        let count = try await OwnThread.run { () throws -> SteeringCount in
            try queue.steer(order, QueueFilter()) { $0.messages < 2_000 }
        }
        #expect(count.isBroken)
        #expect((2_000..<3_000).contains(count.messages))
        #expect(try rig.store.counts().held == count.messages)
        #expect(await rig.commit(rig.mails.next())[0].isCommitted)
        #expect(try await steer(.hold).messages == 5_001 - count.messages)
        #expect(try await steer(.release).messages == 5_001)
        #expect(try rig.store.counts().held == 0)
    }

    @Test func `a store that fails in between changes nothing twice`() async throws {
        _ = try await deferred(3)
        rig.store.fail(writes: 1, reachLog: true)
        let count = try await steer(.hold)
        #expect(count.messages + count.unchanged == 3)
        #expect(try rig.store.counts().held == 3)
    }
}

extension Accepted {
    /// As it was handed out first.
    fileprivate var work: Work {
        Work(
            message: message, domain: "example.org", recipients: recipients, progress: Progress(due: message.arrived))
    }
}
