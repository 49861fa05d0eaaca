import Mail
import NIOCore
import NIOPosix
import Queue
import RelayTesting
import Synchronization
import Testing

/// A queue that tells senders, over a store in memory and a clock that stands still.
private struct NoticeRig {
    let rig: QueueRig

    init(store: MemoryStore = MemoryStore(), _ configure: (inout NoticeSettings) -> Void = { _ in }) throws {
        rig = try QueueRig(store: store)
        try start(configure)
    }

    func start(_ configure: (inout NoticeSettings) -> Void) throws {
        let passage = NoticeTexts.Passage(subject: "s", opening: "o")
        let texts = NoticeTexts(
            language: "en", from: "Mail", failure: passage, delay: passage, success: passage, undeliverable: passage,
            said: "said", expired: "expired", noAnswer: "no answer", noAnswerYet: "no answer yet", trouble: "trouble",
            relayed: "relayed", relayRefused: "refused", relayDown: "down", relaySaid: "it said", reasons: [:],
            advice: [:],
            headersFollow: "h", messageFollows: "m")
        var settings = NoticeSettings(
            hostname: "relay.example", ids: MessageID.Generator(bucket: 9, time: rig.time), texts: texts,
            loop: MultiThreadedEventLoopGroup.singleton.next())
        settings.delayAfter = nil
        configure(&settings)
        try rig.queue.startNotices(settings)
    }

    /// Notices that Delivery was given.
    var notices: [Work] {
        rig.dispatcher.notes.arrived.joined().filter { $0.message.sender == .null }
    }

    func content(_ work: Work) -> String {
        if case .inline(let buffer) = work.message.content { String(buffer: buffer) } else { "" }
    }

    func silences() -> [String] {
        rig.trace.events.compactMap { event in
            if case .notified(let told) = event, told.notice == nil { told.why } else { nil }
        }
    }
}

/// Writes a field of its own above what it was given.
private struct StandInSigner: NoticeSigner {
    struct Broken: Error {}

    struct Stroke: NoticeSignature {
        var isBroken: Bool
        let blank = ByteBuffer(string: "Signed: no \r\n")

        mutating func hash(_ further: ByteBuffer) {}

        func fields() throws -> ByteBuffer {
            if isBroken { throw Broken() }
            return ByteBuffer(string: "Signed: yes\r\n")
        }
    }

    var isBroken = false

    func begin(_ content: ByteBuffer, at time: Timestamp) -> (any NoticeSignature)? {
        String(buffer: content).hasPrefix("From: ") ? Stroke(isBroken: isBroken) : nil
    }
}

@Suite struct `Telling senders` {
    @Test(arguments: [(false, "Signed: yes\r\nFrom: "), (true, "From: ")])
    func `a notice is signed, and goes without where it cannot be`(_ isBroken: Bool, _ start: String) async throws {
        let told = try NoticeRig { $0.signer = StandInSigner(isBroken: isBroken) }
        let mail = told.rig.mails.next(to: ["a@example.org"])
        await told.rig.commit(mail)
        told.rig.queue.settle([mail.ended(how: .failed, reason: "550 no such user")])
        try await eventually { told.notices.count == 1 }
        let content = told.content(told.notices[0])
        #expect(content.hasPrefix(start) && content.utf8.count == told.notices[0].message.size)
    }

    @Test func `a failure makes one notice, and the message goes`() async throws {
        let told = try NoticeRig()
        let mail = told.rig.mails.next(to: ["a@example.org", "b@example.org"])
        await told.rig.commit(mail)
        told.rig.queue.settle([mail.ended(how: .failed, reason: "550 no such user")])
        try await eventually { told.notices.count == 1 }
        #expect(told.notices[0].recipients == [Address("eve@example.com")])
        #expect(told.content(told.notices[0]).components(of: "Action: failed") == 2)
        #expect(try told.rig.store.entry(mail.id) == nil)
        #expect(try told.rig.store.counts().untold == 0)
        try await eventually { told.rig.trace.events.contains { $0.message == told.notices[0].message.id } }
        told.rig.queue.settle([Settlement.delivered(told.notices[0])])
        try await eventually { try told.rig.store.counts().messages == 0 }
    }

    @Test func `what fails together is told together, and the rest does not wait for ever`() async throws {
        let told = try NoticeRig()
        let mail = told.rig.mails.next(to: ["a@one.example", "b@two.example", "c@three.example"])
        await told.rig.commit(mail)
        told.rig.queue.settle([mail.ended("one.example", how: .failed, reason: "550")])
        try await eventually { try told.rig.store.counts().untold == 1 }
        told.rig.queue.settle([mail.ended("two.example", how: .failed, reason: "550")])
        try await eventually { try told.rig.store.counts().untold == 2 }
        try await Task.sleep(for: .milliseconds(30))
        #expect(told.notices.isEmpty)
        told.rig.time.advance(.seconds(10))
        try await eventually { told.notices.count == 1 }
        #expect(told.content(told.notices[0]).components(of: "Final-Recipient:") == 2)
        told.rig.queue.settle([mail.ended("three.example", how: .failed, reason: "550")])
        try await eventually { told.notices.count == 2 }
        #expect(try told.rig.store.entry(mail.id) == nil)
    }

    @Test func `a deadline leads to a notice`() async throws {
        let told = try NoticeRig()
        let mail = told.rig.mails.next(lives: .hours(1))
        await told.rig.commit(mail)
        told.rig.queue.settle([mail.deferred(due: told.rig.time.now() + .minutes(30), refusal: "451 4.3.2 busy")])
        try await eventually { try told.rig.store.counts().works == 1 }
        told.rig.time.advance(.hours(1))
        try await eventually { told.notices.count == 1 }
        #expect(told.content(told.notices[0]).contains("Diagnostic-Code: smtp; 451 4.3.2 busy"))
        #expect(try told.rig.store.entry(mail.id) == nil)
    }

    @Test func `nobody is told who asked not to be`() async throws {
        let told = try NoticeRig()
        var request = NoticeRequest()
        let mail = told.rig.mails.next(to: ["a@example.org", "b@example.org"])
        request.add(mail.recipients[0], RecipientRequest(notify: .never))
        request.add(mail.recipients[1], RecipientRequest(notify: .success))
        await told.rig.commit(mail.asking(request))
        told.rig.queue.settle([mail.ended(how: .failed, reason: "550")])
        try await eventually { try told.rig.store.counts().messages == 0 }
        #expect(told.notices.isEmpty)
        try await eventually { told.silences() == ["the sender asked not to be told"] }
    }

    @Test func `a success is told where the next host will not`() async throws {
        let told = try NoticeRig()
        let mail = told.rig.mails.next(file: true)
        var request = NoticeRequest(returned: .full)
        request.add(mail.recipients[0], RecipientRequest(notify: .success))
        await told.rig.commit(mail.asking(request))
        var settlement = mail.delivered()
        settlement.ended[0].isRelayed = true
        told.rig.queue.settle([settlement])
        try await eventually { told.notices.count == 1 }
        #expect(told.content(told.notices[0]).contains("Action: relayed"))
        // Its file cannot be read: the sender is told all the same.
        #expect(told.content(told.notices[0]).contains("text/rfc822-headers"))
        try await eventually { told.rig.contents.removed == ["\(mail.id)"] }
    }

    @Test func `a notice about a notice goes to the postmaster, and one about that to nobody`() async throws {
        let told = try NoticeRig { $0.postmaster = Address("Postmaster@relay.example") }
        let mail = told.rig.mails.next(from: nil)
        await told.rig.commit(mail)
        told.rig.queue.settle([mail.ended(how: .failed, reason: "550")])
        try await eventually { told.notices.count { $0.domain == "relay.example" } == 1 }
        let notice = try #require(told.notices.first { $0.domain == "relay.example" })
        let end = Settlement.Ended(
            recipient: notice.recipients[0], how: .failed, reason: "550", at: told.rig.time.now())
        told.rig.queue.settle([Settlement(key: notice.key, ended: [end], remaining: nil)])
        try await eventually { try told.rig.store.counts().messages == 0 }
        #expect(told.notices.count { $0.domain == "relay.example" } == 1)
        try await eventually {
            told.silences() == ["the sender is <> and the message was for the postmaster"]
        }
    }

    @Test func `without a postmaster it ends with that reason`() async throws {
        let told = try NoticeRig()
        let mail = told.rig.mails.next(from: nil)
        await told.rig.commit(mail)
        told.rig.queue.settle([mail.ended(how: .failed, reason: "550")])
        try await eventually { try told.rig.store.counts().messages == 0 }
        try await eventually { told.silences() == ["the sender is <> and no postmaster is configured"] }
    }

    @Test func `a delay is told once, of those that wait and want it`() async throws {
        let told = try NoticeRig { $0.delayAfter = .hours(4) }
        var request = NoticeRequest()
        let mail = told.rig.mails.next(to: ["a@example.org", "b@example.org"])
        request.add(mail.recipients[1], RecipientRequest(notify: .failure))
        await told.rig.commit(mail.asking(request))
        told.rig.queue.settle([mail.deferred(due: told.rig.time.now() + .hours(9), refusal: "451 busy")])
        try await eventually { try told.rig.store.counts().works == 1 }
        told.rig.time.advance(.hours(3))
        try await Task.sleep(for: .milliseconds(1_200))
        #expect(told.notices.isEmpty)
        told.rig.time.advance(.minutes(61))
        try await eventually { try told.rig.store.counts().untold > 0 || !told.notices.isEmpty }
        told.rig.time.advance(.seconds(10))
        try await eventually { told.notices.count == 1 }
        let content = told.content(told.notices[0])
        #expect(content.contains("Action: delayed") && content.contains("Will-Retry-Until:"))
        #expect(content.components(of: "Final-Recipient:") == 1)
        told.rig.time.advance(.hours(9))
        try await Task.sleep(for: .milliseconds(1_200))
        #expect(told.notices.count == 1)
        #expect(try told.rig.store.entry(mail.id)?.works.count == 1)
    }

    @Test(arguments: [true, false])
    func `a transaction that fails neither loses a notice nor makes two`(_ reachLog: Bool) async throws {
        let told = try NoticeRig()
        let mails = (0..<20).map { _ in told.rig.mails.next() }
        await told.rig.commit(mails)
        told.rig.store.writeGate.shut()
        told.rig.queue.settle(mails.map { $0.ended(how: .failed, reason: "550") })
        try await eventually { told.rig.store.writeGate.isHolding }
        told.rig.store.fail(writes: 3, recoveries: 1, reachLog: reachLog)
        told.rig.store.writeGate.open()
        try await eventually { told.notices.count == 20 && told.rig.queue.admission() == .open }
        try await Task.sleep(for: .milliseconds(50))
        #expect(told.notices.count == 20)
        #expect(try told.rig.store.counts() == QueueCounts(messages: 20, works: 0, domains: 0, untold: 0))
    }

    @Test func `what a crash left untold is told at the next start, once`() async throws {
        let rig = try QueueRig()
        let mail = rig.mails.next()
        await rig.commit(mail)
        rig.queue.settle([mail.ended(how: .failed, reason: "550")])
        try await eventually { try rig.store.counts().untold == 1 }
        rig.queue.stop()
        let told = try NoticeRig(store: rig.store)
        try await eventually { told.notices.count == 1 }
        #expect(try told.rig.store.counts().untold == 0)
        told.rig.queue.stop()
        let again = try NoticeRig(store: rig.store)
        try await Task.sleep(for: .milliseconds(50))
        #expect(again.notices.isEmpty)
    }

    @Test func `a long notice is a file`() async throws {
        let told = try NoticeRig()
        let mail = told.rig.mails.next(to: (0..<800).map { "user\($0)@example.org" })
        await told.rig.commit(mail)
        let log = told.rig.trace
        told.rig.queue.settle([mail.ended(how: .failed, reason: String(repeating: "long ", count: 40))])
        // These content files cannot be written, so it is tried again later and nothing is lost.
        try await eventually { try told.rig.store.counts().untold == 800 }
        try await Task.sleep(for: .milliseconds(100))
        #expect(told.notices.isEmpty)
        #expect(try told.rig.store.counts().untold == 800)
        #expect(!log.events.contains { if case .notified = $0 { true } else { false } })
    }
}

extension Settlement {
    fileprivate static func delivered(_ work: Work) -> Settlement {
        Settlement(
            key: work.key,
            ended: work.recipients.map {
                Ended(recipient: $0, how: .delivered, reason: "250", at: work.message.arrived)
            }, remaining: nil)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
