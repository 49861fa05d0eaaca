import Mail
import Queue
import RelayTesting
import Testing

@Suite struct `Held from the start` {
    private static func held(_ mail: Accepted) -> Accepted {
        Accepted(
            message: mail.message, recipients: mail.recipients, trace: mail.trace,
            hold: Hold(at: mail.message.arrived, by: "filter", reason: "not scanned"))
    }

    @Test func `it is in the store and not with Delivery, until it is released`() async throws {
        let rig = try QueueRig()
        let mail = Self.held(rig.mails.next(to: ["a@example.org", "b@example.net"]))
        let other = rig.mails.next()
        #expect(await rig.commit([mail, other]).allSatisfy(\.isCommitted))
        try await eventually { !rig.dispatcher.notes.arrived.isEmpty }
        #expect(rig.dispatcher.notes.arrived.flatMap(\.self).map(\.message.id) == [other.id])
        let entry = try #require(try rig.queue.show(mail.id))
        #expect(entry.works.map(\.state) == [.held, .held])
        #expect(entry.works.compactMap(\.hold?.reason) == ["not scanned", "not scanned"])
        let told = rig.trace.events.filter { if case .steered = $0 { true } else { false } }
        #expect(told.count == 2 && told.allSatisfy { $0.message == mail.id })
        var filter = QueueFilter()
        filter.ids = [mail.id]
        let queue = rig.queue
        let order = SteeringOrder(.release, by: "test", reason: "looked at")
        let count = try await OwnThread.run { [filter] () throws -> SteeringCount in
            try queue.steer(order, filter)
        }
        #expect(count.recipients == 2)
        #expect(try await rig.fetch().works.map(\.message.id) == [mail.id])
    }

    @Test func `a store that fails leaves nothing of it`() async throws {
        let rig = try QueueRig()
        await rig.commit(rig.mails.next())
        rig.store.fail(writes: 1)
        let mail = Self.held(rig.mails.next())
        #expect(await rig.commit([mail]).map(\.isCommitted) == [false])
        try await eventually { rig.queue.admission() == .open }
        #expect(try rig.store.entry(mail.id) == nil)
        #expect(await rig.commit([Self.held(rig.mails.next())]).map(\.isCommitted) == [true])
    }
}
