import Glibc
import Mail
import Queue
import RelayTesting
import Testing

@testable import Storage

/// What an audit makes of a spool that no relay works on; the end-to-end tests look at running ones.
@Suite struct `An audit` {
    let folder = Folder()
    let mails = Mails(SystemTime())

    /// Writes rows and events, and closes both as a relay does that ends in order.
    func fill(_ messages: [Accepted], events: [TraceEvent] = [], waiting: Bool = true) throws {
        let spool = try Spool(path: folder.path)
        let history = try History(spool: spool, logger: quiet)
        history.record(messages.map { .accepted($0.trace) } + events)
        history.stop()
        let store = SQLiteStore(spool: spool, logger: quiet)
        _ = try store.open()
        var batch = StoreBatch(at: SystemTime().now())
        batch.accepted = messages.map(\.stored)
        if waiting {
            batch.filed = messages.flatMap { mail in Set(mail.recipients.map(\.domain)).map { mail.row($0) } }
        }
        batch.state = messages.map(\.id).max().map { StoreState(floor: MessageID(value: $0.value + 1), ceiling: $0) }
        _ = try store.write(batch)
        try store.close()
    }

    func findings() throws -> (found: [AuditFinding], summary: AuditSummary) {
        let audit = try SpoolAudit(spool: folder.path)
        defer { audit.close() }
        var found: [AuditFinding] = []
        let summary = try audit.run { found.append($0) }
        return (found, summary)
    }

    func end(_ mail: Accepted, _ recipients: [String], _ how: RecipientEnd = .failed) -> TraceEvent {
        let end = TraceEvent.End(
            message: mail.id, at: SystemTime().now(), recipients: recipients.map { Address($0) }, how: how, reason: "x")
        return .ended(end)
    }

    @Test func `is content with what waits`() throws {
        try fill([mails.next(), mails.next(to: ["a@a.example", "b@b.example"])])
        let (found, summary) = try findings()
        #expect(found.isEmpty && summary.isGood && !summary.isRunning)
        #expect(summary.messagesInStore == 2 && summary.waiting == 3 && summary.accepted == 3)
    }

    @Test func `names the recipient that has neither end nor row`() throws {
        let mail = mails.next(to: ["a@a.example", "b@b.example"])
        try fill([mail])
        let spool = try Spool(path: folder.path)
        let store = SQLiteStore(spool: spool, logger: quiet)
        _ = try store.open()
        var batch = StoreBatch(at: SystemTime().now())
        batch.settled = [mail.delivered("b.example")]
        _ = try store.write(batch)
        try store.close()
        let (found, _) = try findings()
        #expect(found == [AuditFinding(kind: .unaccounted, message: mail.id, recipients: [Address("b@b.example")])])
    }

    @Test func `names who has ended twice, and who has ended and waits`() throws {
        let mail = mails.next(to: ["a@a.example"])
        try fill([mail], events: [end(mail, ["a@a.example"]), end(mail, ["a@a.example"], .expired)])
        let (found, summary) = try findings()
        #expect(found.map(\.kind) == [.endedTwice, .endedAndWaiting])
        #expect(found.allSatisfy { $0.recipients == [Address("a@a.example")] && $0.excuse == nil })
        #expect(summary.ends == [.failed: 1, .expired: 1])
    }

    @Test func `counts a recipient that stands twice in the envelope as two`() throws {
        let mail = mails.next(to: ["a@a.example", "a@a.example"])
        try fill([], events: [.accepted(mail.trace), end(mail, ["a@a.example", "a@a.example"])])
        #expect(try findings().found.isEmpty)
    }

    @Test func `names a message that nothing would bring on`() throws {
        let mail = mails.next()
        try fill([mail], waiting: false)
        #expect(try findings().found.map(\.kind) == [.stranded])
    }

    @Test func `takes what a gap may hide for unproven`() throws {
        let mail = mails.next()
        try fill([], events: [.accepted(mail.trace)])
        #expect(try findings().found == [AuditFinding(kind: .lost, message: mail.id, recipients: mail.recipients)])
        // A relay that is killed does not close its history.
        let copy = folder.copy()
        let spool = try Spool(path: copy.path)
        let history = try HistoryFile.open(spool.historyPath, time: SystemTime(), log: quiet)
        try history.note(
            HistoryGap(
                began: mail.message.arrived, ended: mail.message.arrived + .seconds(9), dropped: 7,
                why: HistoryGap.overload))
        history.close()
        let audit = try SpoolAudit(spool: copy.path)
        defer { audit.close() }
        var found: [AuditFinding] = []
        let summary = try audit.run(settle: .seconds(0)) { found.append($0) }
        #expect(found.map(\.kind) == [.lost] && found[0].excuse?.contains("7 events") == true)
        #expect(summary.isGood && summary.unproven == [.lost: 1])
        withExtendedLifetime(spool) {}
    }

    @Test func `goes through more than a page of everything`() throws {
        let many = (0..<2_500).map { _ in mails.next(to: ["a@a.example", "b@b.example"]) }
        try fill(many, events: [end(many[7], ["a@a.example"])])
        let (found, summary) = try findings()
        #expect(found.map(\.message) == [many[7].id] && found.map(\.kind) == [.endedAndWaiting])
        #expect(summary.messagesInHistory == 2_500 && summary.waiting == 5_000)
    }
}
