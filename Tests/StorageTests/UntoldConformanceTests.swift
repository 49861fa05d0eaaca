import GRDB
import Mail
import NIOCore
import Queue
import RelayTesting
import Storage
import Testing

/// What senders are still to be told, in every store.
@Suite struct `What is to be told` {
    let folder = Folder()
    let time = ManualTime()
    let mails: Mails
    var now: Timestamp { time.now() }

    init() {
        mails = Mails(time)
    }

    func write(_ store: any QueueStore, _ fill: (inout StoreBatch) -> Void) throws -> StoreResult {
        var batch = StoreBatch(at: now)
        fill(&batch)
        return try store.write(batch)
    }

    func failed(_ mail: Accepted, _ index: Int = 0, kind: RecipientReport.Kind = .failed) -> RecipientReport {
        RecipientReport(
            recipient: mail.recipients[index], kind: kind, reason: "550 no",
            refusal: .said("550 5.1.1 no", cause: .recipient, at: now), at: now)
    }

    func untold(_ mail: Accepted, _ report: RecipientReport) -> UntoldRecipient {
        UntoldRecipient(message: mail.id, report: report)
    }

    @Test(arguments: StoreKind.allCases)
    func `comes back with its message, content and request`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        var request = NoticeRequest(returned: .headers, envelopeID: "QQ+2B1")
        let mail = mails.next(to: ["a@example.org", "b@example.org", "c@example.net"])
        request.add(mail.recipients[0], RecipientRequest(notify: .never, original: "rfc822;a@example.org"))
        request.add(mail.recipients[2], RecipientRequest(notify: [.success, .delay], original: "x;y+20z"))
        let asked = mail.asking(request)
        let report = failed(mail)
        _ = try write(store) {
            $0.accepted = [asked.stored]
            $0.untold = [untold(mail, report)]
        }
        let message = try #require(try store.untoldMessage(mail.id))
        #expect(message.reports == [report])
        #expect(message.message.request == request)
        #expect(message.recipients == mail.recipients)
        #expect(message.waiting.isEmpty)
        guard case .inline(let content) = message.message.content else {
            Issue.record("content is not inline")
            return
        }
        #expect(content.readableBytes == mail.message.size)
        #expect(try store.untoldMessage(mails.next().id) == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func `stands in order of time, and says whether others are waited for`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let first = mails.next(to: ["a@example.org", "b@example.net"])
        let second = mails.next()
        _ = try write(store) {
            $0.accepted = [first.stored, second.stored]
            $0.filed = [first.row("example.net")]
            $0.untold = [untold(second, failed(second))]
        }
        let then = now
        time.advance(.minutes(1))
        _ = try write(store) { $0.untold = [untold(first, failed(first))] }
        let all = try store.untold(after: nil, limit: 10)
        #expect(
            all == [
                UntoldCursor(at: then, message: second.id, hasEnded: true),
                UntoldCursor(at: now, message: first.id, hasEnded: false),
            ])
        #expect(try store.untold(after: all[0], limit: 10) == [all[1]])
        #expect(try store.untold(after: all[1], limit: 10).isEmpty)
        #expect(try store.untoldMessage(first.id)?.waiting == [first.recipients[1]])
    }

    @Test(arguments: StoreKind.allCases)
    func `is told in the transaction that takes the notice, and the message goes with it`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next(file: true)
        let notice = mails.next(to: ["eve@example.com"], from: nil)
        _ = try write(store) {
            $0.accepted = [mail.stored]
            $0.untold = [untold(mail, failed(mail))]
        }
        var batch = StoreBatch(at: now)
        batch.accepted = [notice.stored]
        batch.told = [Told(message: mail.id, reports: [failed(mail)])]
        #expect(try store.write(batch).files == ["\(mail.id)"])
        #expect(try store.entry(mail.id) == nil)
        #expect(try store.counts() == QueueCounts(messages: 1, works: 0, domains: 0, untold: 0))
        // Written again after a recovery: the notice is undone first, and nothing is done twice.
        try store.recover()
        batch.undone = [notice.id]
        #expect(try store.write(batch).files.isEmpty)
        #expect(try store.counts() == QueueCounts(messages: 1, works: 0, domains: 0, untold: 0))
    }

    @Test(arguments: StoreKind.allCases)
    func `keeps what was not told, and a message that others wait for`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next(to: ["a@example.org", "b@example.org", "c@example.net"])
        _ = try write(store) {
            $0.accepted = [mail.stored]
            $0.filed = [mail.row("example.net")]
            $0.untold = [untold(mail, failed(mail)), untold(mail, failed(mail, 1))]
        }
        _ = try write(store) { $0.told = [Told(message: mail.id, reports: [failed(mail)])] }
        #expect(try store.entry(mail.id)?.untold.map(\.recipient) == [mail.recipients[1]])
        _ = try write(store) { $0.told = [Told(message: mail.id, reports: [failed(mail, 1)])] }
        #expect(try store.entry(mail.id)?.untold.isEmpty == true)
        #expect(try store.entry(mail.id)?.works.count == 1)
        _ = try write(store) { $0.settled = [mail.delivered("example.net")] }
        #expect(try store.entry(mail.id) == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func `of delays is noted once, and not in the way of the end`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next(to: ["a@example.org", "b@example.org"])
        let young = mails.next()
        _ = try write(store) {
            $0.accepted = [mail.stored, young.stored]
            $0.filed = [mail.row(), young.row()]
        }
        #expect(try store.waiting(after: MessageID(value: 0), through: mail.id, limit: 10) == [mail.id])
        #expect(try store.waiting(after: MessageID(value: 0), through: young.id, limit: 1) == [mail.id])
        #expect(try store.waiting(after: mail.id, through: young.id, limit: 10) == [young.id])
        let delays = Delays(messages: [mail.id], through: mail.id)
        _ = try write(store) { $0.delays = delays }
        _ = try write(store) { $0.delays = delays }
        #expect(try store.untoldMessage(mail.id)?.reports.map(\.kind) == [.delayed, .delayed])
        _ = try write(store) { $0.settled = [mail.ended(how: .failed, reason: "550")] }
        let message = try #require(try store.untoldMessage(mail.id))
        #expect(message.reports.count { $0.kind == .failed } == 2)
        #expect(message.waiting.isEmpty)
        _ = try write(store) { $0.told = [Told(message: mail.id, reports: message.reports)] }
        #expect(try store.entry(mail.id) == nil)
    }

    @Test func `of delays is remembered across a start`() throws {
        let through = mails.next().id
        do {
            let store = try StoreKind.sqlite.make(in: folder)
            _ = try write(store) { $0.delays = Delays(messages: [], through: through) }
            try store.close()
        }
        let again = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        #expect(try again.open().delayed == through)
        try again.close()
    }

    @Test(arguments: StoreKind.allCases)
    func `of a delivery is kept where the next host will not tell`(_ kind: StoreKind) throws {
        let store = try kind.make(in: folder)
        let mail = mails.next()
        _ = try write(store) {
            $0.accepted = [mail.stored]
            $0.filed = [mail.row()]
        }
        var settlement = mail.delivered()
        settlement.ended[0].isRelayed = true
        _ = try write(store) { $0.settled = [settlement] }
        #expect(try store.untoldMessage(mail.id)?.reports.map(\.kind) == [.relayed])
    }

    @Test func `of a spool of an earlier version is told after the upgrade`() throws {
        let mail = mails.next()
        do {
            let store = try StoreKind.sqlite.make(in: folder)
            _ = try write(store) { $0.accepted = [mail.stored] }
            try store.close()
        }
        let old = try DatabaseQueue(path: folder.path + "/queue.sqlite")
        try old.write { database in
            try database.execute(
                sql: OldSchema.third + """
                    DROP TABLE untold;
                    ALTER TABLE state DROP COLUMN delayed;
                    CREATE TABLE failed (
                        message INTEGER NOT NULL, domain TEXT NOT NULL, local TEXT NOT NULL, how INTEGER NOT NULL,
                        reason TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (message, domain, local)
                    ) WITHOUT ROWID;
                    PRAGMA user_version = 2;
                    """)
            try database.execute(
                sql: "INSERT INTO failed VALUES (?, 'example.org', 'ada', 2, 'too late', 5)",
                arguments: [Int64(mail.id.value)])
        }
        try old.close()
        let store = SQLiteStore(spool: try Spool(path: folder.path), logger: quiet)
        _ = try store.open()
        let message = try #require(try store.untoldMessage(mail.id))
        #expect(
            message.reports == [
                RecipientReport(
                    recipient: Address("ada@example.org"), kind: .expired, reason: "too late",
                    at: Timestamp(milliseconds: 5))
            ])
        try store.close()
    }
}
