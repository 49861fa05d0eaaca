import Mail
import Queue
import RelayTesting
import Testing

/// How filed works end, in every store.
@Suite struct `A filed work` {
    let folder = Folder()
    let time = ManualTime()
    let mails: Mails
    var now: Timestamp { time.now() }

    init() {
        mails = Mails(time)
    }

    func filed(_ mail: Accepted, _ kind: StoreKind) throws -> any QueueStore {
        let store = try kind.make(in: folder)
        var batch = StoreBatch(at: now)
        batch.accepted = [mail.stored]
        batch.filed = Set(mail.recipients.map(\.domain)).map { mail.row($0) }
        _ = try store.write(batch)
        return store
    }

    func settle(_ settlement: Settlement, in store: any QueueStore) throws -> StoreResult {
        var batch = StoreBatch(at: now)
        batch.settled = [settlement]
        return try store.write(batch)
    }

    func expire(_ key: WorkKey, in store: any QueueStore) throws -> StoreResult {
        var batch = StoreBatch(at: now)
        batch.expired = [Expiration(key: key, at: now)]
        return try store.write(batch)
    }

    @Test(arguments: StoreKind.allCases)
    func `takes its message with it when it is the last to be delivered`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.net"], file: true)
        let store = try filed(mail, kind)
        #expect(try settle(mail.delivered(), in: store).files.isEmpty)
        #expect(try store.entry(mail.id)?.works.map(\.domain) == ["example.net"])
        #expect(try settle(mail.delivered("example.net"), in: store).files == ["\(mail.id)"])
        #expect(try store.entry(mail.id) == nil)
        #expect(try store.counts() == QueueCounts(messages: 0, works: 0, domains: 2, untold: 0))
    }

    @Test(arguments: StoreKind.allCases)
    func `keeps its message when a recipient failed, with the reason`(_ kind: StoreKind) throws {
        let mail = mails.next()
        let store = try filed(mail, kind)
        #expect(try settle(mail.ended(how: .failed, reason: "550 no such user"), in: store).files.isEmpty)
        let entry = try #require(try store.entry(mail.id))
        #expect(entry.works.isEmpty)
        #expect(entry.untold.map(\.reason) == ["550 no such user"])
        #expect(entry.untold.map(\.kind) == [.failed])
        #expect(try store.fresh(from: MessageID(value: 0), limit: 10).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func `waits for its next due time with what was learned`(_ kind: StoreKind) throws {
        let mail = mails.next()
        let store = try filed(mail, kind)
        _ = try store.write(handedOutBatch())
        _ = try settle(mail.deferred(due: now + .minutes(5)), in: store)
        #expect(try store.agenda(dueBy: now, limit: 1).next == now + .minutes(5))
        let work = try #require(try store.works([mail.key()], bytes: 1_000).works.first)
        #expect(work.progress.tried == ["a"])
        #expect(work.progress.due == now + .minutes(5))
        #expect(work.progress.firstRefusal == mails.refusal("450 later"))
    }

    @Test(arguments: StoreKind.allCases)
    func `that Delivery keeps is recorded and not put on the agenda`(_ kind: StoreKind) throws {
        let mail = mails.next()
        let store = try filed(mail, kind)
        _ = try store.write(handedOutBatch())
        var settlement = mail.deferred(due: now)
        settlement.stillHandedOut = true
        _ = try settle(settlement, in: store)
        #expect(try store.agenda(dueBy: now, limit: 1).due.isEmpty)
        #expect(try store.works([mail.key()], bytes: 1_000).works.first?.progress.rounds == 1)
    }

    func handedOutBatch() -> StoreBatch {
        var batch = StoreBatch(at: now)
        batch.agenda = [.handedOut(domain: "example.org", next: nil)]
        return batch
    }

    @Test(arguments: StoreKind.allCases)
    func `keeps the recipients that are left when some have ended`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.org", "c@example.org"])
        let store = try filed(mail, kind)
        var settlement = mail.deferred(due: now + .minutes(5))
        settlement.ended = [
            Settlement.Ended(recipient: Address("a@example.org"), how: .delivered, reason: "250", at: now),
            Settlement.Ended(recipient: Address("c@example.org"), how: .failed, reason: "550", at: now),
        ]
        settlement.remaining?.recipients = [Address("b@example.org")]
        #expect(try settle(settlement, in: store).incomplete.isEmpty)
        let entry = try #require(try store.entry(mail.id))
        #expect(entry.works.map(\.recipients) == [[Address("b@example.org")]])
        #expect(entry.untold.map(\.recipient) == [Address("c@example.org")])
    }

    @Test(arguments: StoreKind.allCases)
    func `never loses a recipient that a settlement forgets`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.org"])
        let store = try filed(mail, kind)
        var settlement = mail.delivered()
        settlement.ended.removeLast()
        #expect(try settle(settlement, in: store).incomplete == [mail.key()])
        let part = try #require(try store.entry(mail.id)?.works.first)
        #expect(part.recipients == [Address("b@example.org")])
        #expect(part.progress.due > now)
    }

    @Test(arguments: StoreKind.allCases)
    func `ends only once`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.net"])
        let store = try filed(mail, kind)
        _ = try settle(mail.delivered(), in: store)
        _ = try settle(mail.ended(how: .failed, reason: "550"), in: store)
        _ = try settle(mail.deferred(due: now), in: store)
        #expect(try expire(mail.key(), in: store).expired.isEmpty)
        let entry = try #require(try store.entry(mail.id))
        #expect(entry.works.map(\.domain) == ["example.net"])
        #expect(entry.untold.isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func `expires with the words of the last refusal`(_ kind: StoreKind) throws {
        let mail = mails.next(lives: .hours(1))
        let store = try filed(mail, kind)
        _ = try settle(mail.deferred(due: now + .minutes(5), refusal: "451 4.7.1 not yet"), in: store)
        #expect(try store.expired(by: now, after: nil, limit: 10).isEmpty)
        time.advance(.hours(1))
        #expect(try store.expired(by: now, after: nil, limit: 10).map(\.key) == [mail.key()])
        let result = try expire(mail.key(), in: store)
        #expect(result.expired.map(\.key) == [mail.key()])
        let failed = try #require(try store.entry(mail.id)?.untold.first)
        #expect(failed.kind == .expired)
        #expect(failed.reason.contains("451 4.7.1 not yet"))
        #expect(try store.expired(by: now, after: nil, limit: 10).isEmpty)
        #expect(try settle(mail.delivered(), in: store).files.isEmpty)
        #expect(try store.entry(mail.id)?.untold.count == 1)
    }

    @Test(arguments: StoreKind.allCases)
    func `is found by its deadline, page by page`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        var batch = StoreBatch(at: now)
        for minute in [3, 1, 2, 1] as [Int64] {
            let mail = mails.next(to: ["a@example.org", "b@example.net"], lives: .minutes(minute))
            batch.accepted.append(mail.stored)
            batch.filed += [mail.row(), mail.row("example.net")]
        }
        _ = try store.write(batch)
        time.advance(.minutes(2))
        let all = try store.expired(by: now, after: nil, limit: 100)
        #expect(all.count == 6)
        #expect(all.map(\.expires) == all.map(\.expires).sorted())
        let first = try store.expired(by: now, after: nil, limit: 4)
        #expect(try first + store.expired(by: now, after: first.last, limit: 4) == all)
    }

    @Test(arguments: StoreKind.allCases)
    func `is written again after a recovery without doing anything twice`(_ kind: StoreKind) throws {
        let mail = mails.next(to: ["a@example.org", "b@example.org", "c@example.net"])
        let store = try filed(mail, kind)
        var settlement = mail.deferred(due: now + .minutes(5))
        settlement.ended = [Settlement.Ended(recipient: mail.recipients[0], how: .failed, reason: "550", at: now)]
        settlement.remaining?.recipients = [mail.recipients[1]]
        var batch = StoreBatch(at: now)
        batch.settled = [settlement, mail.delivered("example.net")]
        batch.agenda = [.handedOut(domain: "example.org", next: now + .minutes(1))]
        _ = try store.write(batch)
        let once = try #require(try store.entry(mail.id))
        try store.recover()
        _ = try store.write(batch)
        let twice = try #require(try store.entry(mail.id))
        #expect(once.untold == twice.untold)
        #expect(once.works.map(\.recipients) == twice.works.map(\.recipients))
        #expect(once.works.map(\.progress) == twice.works.map(\.progress))
    }
}
