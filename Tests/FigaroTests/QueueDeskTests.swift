import Foundation
import Logging
import Mail
import Queue
import RelayTesting
import Synchronization
import Testing

@testable import Figaro

/// What commands on the queue are answered, without a socket in between.
final class QueueDeskTests {
    private let time = ManualTime()
    private let queue: MailQueue
    private let desk: QueueDesk
    private let mails: Mails

    init() throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        queue = MailQueue(
            store: MemoryStore(), contents: NotingContents(), trace: NotingTrace(), time: time, logger: logger)
        let dispatcher = NotingDispatcher()
        dispatcher.set { $0.room = 0 }
        queue.attach(dispatcher)
        try queue.start()
        mails = Mails(time)
        desk = QueueDesk(
            queue: queue, sources: { $0 == "main" ? ["s1", "s2"] : nil }, time: time, logger: logger)
    }

    deinit { queue.stop() }

    private func accept(_ mails: [Accepted]) {
        let done = DispatchSemaphore(value: 0)
        for mail in mails { queue.commit(mail) { _ in done.signal() } }
        for _ in mails { done.wait() }
    }

    private func ask(_ request: QueueRequest) -> (lines: [String], end: ControlEnd) {
        let heard = Heard()
        let caller = ControlCaller(name: "root (uid 0)") { line in
            heard.lines.withLock { $0.append(line) }
            return true
        }
        let end = desk.answer(request, caller)
        return (heard.lines.withLock { $0 }, end)
    }

    private final class Heard: Sendable {
        let lines = Mutex<[String]>([])
    }

    private func report(_ request: QueueRequest) throws -> SteeringReport {
        let answer = ask(request)
        #expect(answer.end.error == nil)
        return try #require(answer.lines.last.flatMap { JSONLine.value(SteeringReport.self, from: $0) })
    }

    @Test func `what changes mail wants a selection and a reason`() {
        for verb in [QueueRequest.Verb.hold, .release, .retry, .delete, .bounce] {
            #expect(ask(QueueRequest(verb: verb, reason: "x")).end.error?.contains("--all") == true)
        }
        for verb in [QueueRequest.Verb.hold, .delete, .bounce] {
            #expect(ask(QueueRequest(verb: verb, all: true)).end.error?.contains("--reason") == true)
            #expect(ask(QueueRequest(verb: verb, reason: "a\nb", all: true)).end.error?.contains("one line") == true)
            let long = String(repeating: "x", count: 401)
            #expect(ask(QueueRequest(verb: verb, reason: long, all: true)).end.error?.contains("400") == true)
        }
        #expect(ask(QueueRequest(verb: .release, all: true)).end.error == nil)
        var selection = QueueSelection(ids: ["nonsense"])
        #expect(ask(QueueRequest(verb: .retry, selection: selection)).end.error?.contains("13 letters") == true)
        selection = QueueSelection(ids: Array(repeating: "01M3QK7B8WZ4A", count: 1_001))
        #expect(ask(QueueRequest(verb: .retry, selection: selection)).end.error?.contains("xargs") == true)
        selection = QueueSelection(state: "frozen")
        #expect(ask(QueueRequest(verb: .list, selection: selection)).end.error?.contains("in-flight") == true)
    }

    @Test func `a request of as many ids as may be named fits into its line`() {
        let ids = Array(repeating: "01M3QK7B8WZ4A", count: QueueSelection.idLimit)
        let request = ControlRequest.queue(
            QueueRequest(
                verb: .hold, selection: QueueSelection(ids: ids), reason: String(repeating: "\u{1}", count: 400)))
        #expect(JSONLine.text(request).utf8.count < ControlRequest.lineLimit)
    }

    @Test func `an order is carried out and told, and what waits is listed by it`() throws {
        let all = (0..<5).map { mails.next(to: ["a@x.example"], from: $0 == 0 ? nil : "e@shop.example") }
        accept(all)
        let shop = QueueSelection(sender: "SHOP.example")
        let null = QueueSelection(sender: "")
        #expect(try report(QueueRequest(verb: .hold, selection: null, dryRun: true)).messages == 1)
        let held = try report(QueueRequest(verb: .hold, selection: null, reason: "why"))
        #expect(held.messages == 1 && held.examples == [all[0].id.description])
        #expect(held.lines == ["held: 1 message, 1 recipient"])
        let listed = ask(QueueRequest(verb: .list, selection: QueueSelection(state: "held")))
        let entry = try #require(listed.lines.first.flatMap { JSONLine.value(QueueReport.self, from: $0) })
        #expect(entry.id == all[0].id.description)
        #expect(entry.waiting.first?.held?.by == "root (uid 0)")
        #expect(entry.summary.contains("held: why"))
        #expect(ask(QueueRequest(verb: .list, selection: shop)).lines.count == 4)
        #expect(try report(QueueRequest(verb: .delete, reason: "why", all: true)).messages == 5)
        #expect(ask(QueueRequest(verb: .list)).lines.isEmpty)
    }

    @Test func `a line of a list is about what was asked for, not about the rest of the message`() throws {
        accept([mails.next(to: ["a@x.example", "b@y.example", "c@y.example"], from: "e@shop.example")])
        let domain = QueueSelection(domain: "y.example")
        #expect(try report(QueueRequest(verb: .hold, selection: domain, reason: "why")).recipients == 2)
        func line(_ selection: QueueSelection) throws -> String {
            let lines = ask(QueueRequest(verb: .list, selection: selection)).lines
            return try #require(lines.first.flatMap { JSONLine.value(QueueReport.self, from: $0) }).summary
        }
        #expect(try line(domain).contains("  held  ") && line(domain).contains("2 of 3 to y.example  "))
        let other = try line(QueueSelection(domain: "x.example"))
        #expect(other.contains("1 of 3 to x.example") && !other.contains("held") && other.contains("next "))
        #expect(try line(QueueSelection()).contains("3 to x.example y.example"))
    }

    @Test func `a summary has a line for all, for each receiver and for each customer`() throws {
        accept((0..<6).map { mails.next(to: ["a@d\($0 % 3).example"], customer: "c\($0 % 2)") })
        let answer = ask(QueueRequest(verb: .summary, limit: 2))
        let groups = answer.lines.compactMap { JSONLine.value(SummaryReport.self, from: $0) }
        #expect(groups.map(\.kind) == [.total, .site, .site, .customer, .customer])
        #expect(groups.map(\.messages) == [6, 2, 2, 3, 3])
        #expect(answer.end.more == true)
        for line in groups.flatMap(\.lines) { #expect(!line.unicodeScalars.contains { Visible.isHostile($0) }) }
    }

    @Test(arguments: [(-5, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (3_900, "1h05m"), (200_000, "2d07h")])
    func `an age is told roughly`(seconds: Int64, text: String) {
        #expect(Age.text(seconds: seconds) == text)
    }
}
