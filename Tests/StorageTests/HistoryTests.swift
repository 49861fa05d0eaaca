import Glibc
import Mail
import Queue
import RelayTesting
import Storage
import Synchronization
import Testing

@Suite struct `The history` {
    let folder = Folder()
    let time = ManualTime()
    let spool: Spool

    init() throws {
        spool = try Spool(path: folder.path)
    }

    func history(_ configure: (inout History.Configuration) -> Void = { _ in }) throws -> History {
        try history(living: { _ in [] }, configure)
    }

    func history(
        living: @escaping History.Living, _ configure: (inout History.Configuration) -> Void = { _ in }
    ) throws -> History {
        var configuration = History.Configuration()
        configuration.gather = Timestamp.Span(milliseconds: 5)
        configuration.trimEvery = Timestamp.Span(milliseconds: 20)
        configuration.trimPause = Timestamp.Span(milliseconds: 1)
        configure(&configuration)
        return try History(spool: spool, time: time, logger: quiet, configuration: configuration, living: living)
    }

    func story(_ mails: Mails) -> [TraceEvent] {
        let mail = mails.next(to: ["a@example.org", "b@example.org"], from: nil)
        var attempt = TraceEvent.Attempt(
            id: .max, message: mail.id, at: time.now(), site: "mx.example.org", source: "s7",
            sourceAddress: IPAddress(v4: 0x7F4D_0007), host: "mx1.example.org", hostAddress: IPAddress("2001:db8::1"),
            tls: "TLSv1.3", recipients: mail.recipients, phase: .rcpt,
            reply: Reply(550, EnhancedStatus(5, 7, 1), "blocked\nusing"), cause: .source, rule: "r1",
            decision: "another source", why: "reputation", next: time.now() + .minutes(1))
        let second = attempt
        attempt.reply = nil
        attempt.trouble = "connection timed out"
        attempt.sourceAddress = nil
        attempt.cause = nil
        attempt.next = nil
        let end = TraceEvent.End(
            message: mail.id, at: time.now(), recipients: mail.recipients, how: .delivered, reason: "250 ok")
        let steered = [TraceEvent.Steered.How.held, .released, .retried].map { how in
            TraceEvent.steered(
                TraceEvent.Steered(
                    message: mail.id, at: time.now(), how: how, domain: "example.org", by: "root (uid 0)", reason: "x"))
        }
        var accepted = mail.trace
        accepted.screening = Screening(
            verdict: .suspect, action: "add header", score: -6.25, symbols: ["A(1.00)"], changes: ["X added"])
        var known = [mail.trace, accepted]
        known[0].known = "login app1"
        known[1].known = "certificate 8F:43"
        let acceptances = ([mail.trace, accepted] + known).map { TraceEvent.accepted($0) }
        return acceptances + [.attempted(second), .attempted(attempt)] + steered + [.ended(end)]
    }

    @Test func `a message's events come back in order, before and after they are written`() throws {
        let history = try history { $0.gather = .seconds(60) }
        let mails = Mails(time)
        let story = story(mails)
        history.record(Array(story[..<2]))
        #expect(try history.events(of: story[0].message) == Array(story[..<2]))
        history.record(Array(story[2...]))
        history.stop()
        let again = try self.history()
        defer { again.stop() }
        #expect(try again.events(of: story[0].message) == story)
        #expect(try again.events(of: mails.next().id).isEmpty)
    }

    @Test func `events of a message that were written apart are put together`() async throws {
        let history = try history()
        defer { history.stop() }
        let story = story(Mails(time))
        for event in story {
            history.record([event])
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try history.events(of: story[0].message) == story)
    }

    @Test func `too many are dropped and counted, and nobody waits`() throws {
        let history = try history {
            $0.pendingEvents = 10
            $0.gather = .seconds(60)
        }
        let story = story(Mails(time))
        history.record(Array(repeating: story[0], count: 25))
        history.stop()
        #expect(history.dropped == 15)
    }

    @Test func `old events go`() async throws {
        let mails = Mails(time)
        let old = story(mails)
        let first = try history()
        first.record(old)
        first.stop()
        time.advance(.days(13))
        let young = story(mails)
        let second = try history()
        second.record(young)
        second.stop()
        time.advance(.days(2))
        let third = try history()
        while try !third.events(of: old[0].message).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try third.events(of: young[0].message) == young)
        third.stop()
    }

    @Test func `the oldest go when the file is too large`() async throws {
        let mails = Mails(time)
        let first = try history()
        var stories: [[TraceEvent]] = []
        for _ in 0..<2_000 {
            stories.append(story(mails))
            first.record(stories[stories.count - 1])
        }
        first.stop()
        #expect(folder.size(of: "history.sqlite") > 200_000)
        let second = try history { $0.maximumSize = 100_000 }
        while try !second.events(of: stories[0][0].message).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        second.stop()
    }

    @Test func `what a message in the queue needs is kept, whatever its age and the file's size`() async throws {
        let mails = Mails(time)
        let stories = (0..<3_000).map { _ in story(mails) }
        let waiting = Set([0, 1_500, 2_999].map { stories[$0][0].message })
        let first = try history()
        for story in stories { first.record(story) }
        first.stop()
        time.advance(.days(40))
        // Stopped in the middle, and gone on with after a restart.
        let second = try history(living: { waiting.intersection($0) }) { $0.trimPause = .seconds(60) }
        while try !second.events(of: stories[1][0].message).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try !second.events(of: stories[2_000][0].message).isEmpty, "a step is bounded")
        second.stop()
        let third = try history(living: { waiting.intersection($0) }) { $0.maximumSize = 1 }
        while try !third.events(of: stories[2_998][0].message).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        for story in stories where waiting.contains(story[0].message) {
            #expect(try third.events(of: story[0].message) == story)
        }
        third.stop()
    }

    @Test func `nothing goes while it cannot be told what is in the queue`() async throws {
        let mails = Mails(time)
        let old = story(mails)
        let isOpen = Mutex(false)
        let first = try history(living: { _ in isOpen.withLock { $0 } ? [] : nil })
        first.record(old)
        first.stop()
        time.advance(.days(40))
        let second = try history(living: { _ in isOpen.withLock { $0 } ? [] : nil })
        try await Task.sleep(for: .milliseconds(100))
        #expect(try second.events(of: old[0].message) == old)
        isOpen.withLock { $0 = true }
        while try !second.events(of: old[0].message).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        second.stop()
    }

    @Test func `the youngest messages are named first`() throws {
        let mails = Mails(time)
        let stories = (0..<5).map { _ in story(mails) }
        let history = try history()
        for story in stories { history.record(story) }
        history.stop()
        let again = try self.history()
        #expect(try again.youngest(3) == [4, 3, 2].map { stories[$0][0].message })
        let last = story(mails)
        again.record(last)
        #expect(try again.youngest(2) == [last[0].message, stories[4][0].message])
        again.stop()
    }

    @Test func `a file that cannot be read is set aside`() throws {
        let file = try #require(fopen(folder.path + "/history.sqlite", "w"))
        fputs(String(repeating: "not a database\n", count: 1_000), file)
        fclose(file)
        let history = try history()
        let story = story(Mails(time))
        history.record(story)
        #expect(try history.events(of: story[0].message) == story)
        history.stop()
        #expect(folder.names().contains("history.sqlite.unreadable"))
    }
}
