import Mail
import Queue
import RelayTesting
import Testing

@Suite struct `Deadlines` {
    @Test func `what is not on the wire is ended at its deadline, whether or not Delivery moves`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next(lives: .hours(1))
        await rig.commit(mail)
        rig.queue.settle([mail.deferred(due: rig.time.now() + .minutes(30), refusal: "451 busy")])
        try await eventually { try rig.store.counts().works == 1 }
        rig.time.advance(.hours(1))
        try await eventually { try rig.store.counts().untold == 1 }
        #expect(rig.dispatcher.notes.asked.contains([mail.key()]))
        let failed = try #require(try rig.queue.show(mail.id)?.untold.first)
        #expect(failed.kind == .expired)
        #expect(failed.reason.contains("451 busy"))
        try await eventually { rig.trace.events.count == 2 }
        guard case .ended(let end) = rig.trace.events[1] else {
            Issue.record("no end in the trace")
            return
        }
        #expect(end.recipients == mail.recipients)
        #expect(end.how == .expired)
    }

    @Test func `what is on the wire has a grace, and a late settlement counts`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next(lives: .minutes(1))
        rig.dispatcher.set { $0.onWire = [mail.key()] }
        await rig.commit(mail)
        rig.time.advance(.minutes(2))
        try await eventually { rig.dispatcher.notes.asked.count > 3 }
        #expect(try rig.store.counts().untold == 0)
        rig.queue.settle([mail.delivered()])
        try await eventually { try rig.store.counts().messages == 0 }
    }

    @Test func `the grace ends, and a settlement after it ends nothing twice`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next(lives: .minutes(1))
        rig.dispatcher.set { $0.onWire = [mail.key()] }
        await rig.commit(mail)
        rig.time.advance(.minutes(2))
        try await eventually { rig.dispatcher.notes.asked.count > 3 }
        rig.time.advance(.minutes(15))
        try await eventually { try rig.store.counts().untold == 1 }
        rig.queue.settle([mail.delivered()])
        await rig.commit(rig.mails.next())
        #expect(try rig.queue.show(mail.id)?.untold.map(\.kind) == [.expired])
    }

    @Test func `an expired work is not handed out`() async throws {
        let rig = try QueueRig { $0.expiryEvery = .hours(1) }
        rig.dispatcher.set { $0.room = 0 }
        let short = rig.mails.next(lives: .minutes(1))
        let long = rig.mails.next()
        await rig.commit(short, long)
        try await eventually { try rig.store.counts().works == 2 }
        rig.time.advance(.minutes(1))
        #expect(try await rig.fetch().works.map(\.key) == [long.key()])
    }
}
