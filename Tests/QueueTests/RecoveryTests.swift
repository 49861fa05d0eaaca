import Mail
import Queue
import RelayTesting
import Testing

@Suite struct `Starting again` {
    /// What a crash leaves: everything in the store, nothing in memory.
    func crash(_ rig: QueueRig) throws -> QueueRig {
        let again = try QueueRig(store: rig.store, start: false)
        again.time.set(rig.time.now() + .seconds(1))
        return again
    }

    @Test func `messages in their first attempt are filed as due and handed out`() async throws {
        let rig = try QueueRig()
        let mails = (0..<2_500).map { _ in rig.mails.next(to: ["a@example.org", "x@example.net"]) }
        for start in stride(from: 0, to: 2_500, by: 500) { await rig.commit(Array(mails[start..<start + 500])) }
        let again = try crash(rig)
        try again.queue.start()
        #expect(try again.store.counts().works == 5_000)
        #expect(try await again.isNamed("example.net"))
        #expect(try await again.fetch("example.net", limit: 5_000).works.map(\.message.id) == mails.map(\.id))
    }

    @Test func `works that were handed out are named again, though the agenda had left them out`() async throws {
        let rig = try QueueRig()
        rig.dispatcher.set { $0.room = 0 }
        let mail = rig.mails.next()
        await rig.commit(mail)
        #expect(try await rig.isNamed())
        #expect(try await rig.fetch().works.count == 1)
        try await eventually { try rig.store.agenda(dueBy: .distantFuture, limit: 1).due.isEmpty }
        let again = try crash(rig)
        try again.queue.start()
        #expect(try await again.isNamed())
        #expect(try await again.fetch().works.map(\.key) == [mail.key()])
    }

    @Test func `a message whose recipient failed is not sent again`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        rig.queue.settle([mail.ended(how: .failed, reason: "550")])
        try await eventually { try rig.store.counts().untold == 1 }
        let again = try crash(rig)
        try again.queue.start()
        #expect(try again.store.counts().works == 0)
    }

    @Test func `ids go on above all that were ever committed, also those that are gone`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        rig.queue.settle([mail.delivered()])
        try await eventually { try rig.store.counts().messages == 0 }
        let again = try crash(rig)
        try again.queue.start()
        let highest = try #require(again.queue.highestID)
        #expect(highest >= mail.id)
        rig.time.set(Timestamp(milliseconds: 0))
        #expect(MessageID.Generator(after: highest, time: rig.time).next() > mail.id)
    }

    @Test func `only the last seconds are looked at, however many messages there are`() async throws {
        let rig = try QueueRig()
        for _ in 0..<5 {
            await rig.commit(rig.mails.next())
            rig.time.advance(.minutes(1))
            try await eventually { try rig.store.fresh(from: MessageID(value: 0), limit: 9).isEmpty }
        }
        try await Task.sleep(for: .milliseconds(1_100))
        let last = rig.mails.next()
        await rig.commit(last)
        let state = try rig.store.open()
        #expect(state.floor.accepted >= last.id.accepted + Timestamp.Span.seconds(-11))
        #expect(state.floor <= last.id)
        #expect(state.ceiling >= last.id)
    }
}
