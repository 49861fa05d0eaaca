import Mail
import Queue
import RelayTesting
import Testing

@Suite struct `A store that fails` {
    @Test func `no message of the failed transaction is committed, and the door is shut until it has recovered`()
        async throws
    {
        let rig = try QueueRig()
        rig.store.fail(writes: 1, recoveries: .max, reachLog: true)
        let mail = rig.mails.next(file: true)
        #expect(await rig.commit(mail).map(\.isCommitted) == [false])
        #expect(rig.queue.admission() == .broken)
        #expect(await rig.commit(rig.mails.next()).map(\.isCommitted) == [false])
        rig.store.fail(writes: 0)
        try await eventually { rig.queue.admission() == .open }
        // It had reached the log; since its client was told no, it must not be sent.
        #expect(try rig.store.entry(mail.id) == nil)
        try await eventually { rig.contents.removed.contains("\(mail.id)") }
        #expect(rig.dispatcher.notes.arrived.isEmpty)
        #expect(rig.trace.events.isEmpty)
        #expect(await rig.commit(rig.mails.next()).map(\.isCommitted) == [true])
    }

    @Test(arguments: [true, false])
    func `settlements of the failed transaction are written after it`(_ reachLog: Bool) async throws {
        let rig = try QueueRig { $0.settleWithin = .seconds(60) }
        let done = rig.mails.next()
        let kept = rig.mails.next(to: ["a@example.org", "b@example.org"])
        await rig.commit(done, kept)
        rig.store.fail(writes: 1, recoveries: 1, reachLog: reachLog)
        rig.queue.settle([done.delivered(), kept.deferred(due: rig.time.now())])
        await rig.commit(rig.mails.next())
        try await eventually { rig.queue.admission() == .open }
        #expect(try rig.store.entry(done.id) == nil)
        #expect(try rig.store.entry(kept.id)?.works.map(\.progress.rounds) == [1])
        #expect(try await rig.fetch().works.map(\.key) == [kept.key()])
    }

    @Test func `what is settled while it is broken is kept`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        rig.store.fail(writes: 1, recoveries: .max)
        await rig.commit(rig.mails.next())
        #expect(rig.queue.admission() == .broken)
        rig.queue.settle([mail.delivered()])
        rig.store.fail(writes: 0)
        try await eventually { rig.queue.admission() == .open }
        try await eventually { try rig.store.counts().messages == 0 }
    }

    @Test func `a full disk is said to be short`() async throws {
        let rig = try QueueRig()
        rig.store.fail(writes: 1, recoveries: .max, kind: .diskFull)
        #expect(await rig.commit(rig.mails.next()).map(\.isCommitted) == [false])
        #expect(rig.queue.admission() == .diskShort)
        rig.store.fail(writes: 0)
        try await eventually { rig.queue.admission() == .open }
    }

    @Test func `stopping does not wait for a store that does not recover`() async throws {
        let rig = try QueueRig()
        rig.store.fail(writes: 1, recoveries: .max)
        await rig.commit(rig.mails.next())
        rig.queue.stop()
        #expect(rig.queue.admission() == .closing)
    }
}
