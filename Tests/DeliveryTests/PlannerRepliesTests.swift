import Mail
import Queue
import Testing

@testable import Delivery

/// What follows for a recipient from each cause that a reply can have, in its first round.
@Suite struct PlannerRepliesTests {
    /// Reads `about size` as size, and so on.
    private static func rules() throws -> ReplyRules {
        try ReplyRules(
            Cause.allCases.map { cause in
                var rule = ReplyRule(
                    id: cause.rawValue, cause: cause, source: "test", examples: ["550 about \(cause.rawValue)"])
                rule.patterns = ["about \(cause.rawValue)"]
                return rule
            })
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var reply: String
        var decision: String
        /// Until the next attempt; nil where there is none, or where it comes at once.
        var wait: Timestamp.Span?
        var isPinned = false

        init(_ reply: String, _ decision: String, wait: Timestamp.Span? = nil, pinned: Bool = false) {
            self.reply = reply
            self.decision = decision
            self.wait = wait
            self.isPinned = pinned
        }

        var testDescription: String { reply }
    }

    @Test(arguments: [
        Row("550 about source", "another source"), Row("451 about source", "another source"),
        // Its neighbours would fare no better, and there is no other step.
        Row("550 about range", "later", wait: .minutes(5)),
        Row("451 about greylist", "later", wait: .minutes(5), pinned: true),
        Row("550 about greylist, 20 minutes", "later", wait: .minutes(20), pinned: true),
        Row("451 about volume", "later", wait: .seconds(15)), Row("550 about volume", "later", wait: .seconds(15)),
        Row("451 about volume: 2 hours", "later", wait: .hours(2)), Row("451 about host", "later", wait: .minutes(5)),
        Row("451 about host, try again in 30 minutes", "later", wait: .minutes(30)),
        Row("451 about host after 30 minutes", "later", wait: .minutes(5)),
        Row("552 about mailbox", "later", wait: .minutes(5)), Row("550 about recipient", "failed"),
        Row("450 about recipient", "later", wait: .minutes(5), pinned: true), Row("554 about domain", "failed"),
        Row("451 about domain", "later", wait: .minutes(5), pinned: true), Row("550 about content", "failed"),
        Row("451 about content", "later", wait: .minutes(5), pinned: true), Row("550 about auth", "failed"),
        Row("421 about auth", "later", wait: .minutes(5), pinned: true), Row("552 about size", "failed"),
        Row("503 about protocol", "failed"), Row("530 about tls", "later", wait: .minutes(5)),
        Row("550 about unknown", "failed"), Row("450 about unknown", "later", wait: .minutes(5), pinned: true),
    ])
    func `the cause decides what follows`(row: Row) throws {
        var scene = Scene(rules: try Self.rules())
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        let reply = try #require(Reply(example: row.reply))
        scene.answer(plan.id, [PhaseAnswer(phase: .rcpt, answer: .reply(reply))])
        let attempt = try #require(scene.attempts().first)
        #expect(attempt.decision == row.decision)
        #expect(attempt.rule == attempt.cause?.rawValue, "the trace names the rule")
        let settlement = try #require(scene.settlements().first)
        #expect(settlement.ended.map(\.how) == (row.decision == "failed" ? [.failed] : []))
        #expect(settlement.stillHandedOut == (row.decision == "another source"))
        if let wait = row.wait {
            #expect(settlement.remaining?.progress.due == scene.now + wait)
            #expect(settlement.remaining?.progress.pinned == (row.isPinned ? plan.source.name : nil))
        }
        let isRotated = row.decision == "another source" || row.reply.contains("range")
        #expect((settlement.remaining?.progress.tried ?? []) == (isRotated ? [plan.source.name] : []))
    }

    @Test func `the same words said in the banner are read as well`() throws {
        for cause in [Cause.source, .volume, .host, .greylist] {
            var scene = Scene(rules: try Self.rules())
            scene.arrive(scene.work(["a@x.example"]))
            scene.resolve()
            let plan = try #require(scene.openings().first)
            scene.fail(plan, .banner, .reply(Reply(554, nil, "about \(cause.rawValue)")))
            #expect(scene.attempts().first?.rule == cause.rawValue)
        }
    }

    @Test func `rules that are replaced read what is said from then on`() throws {
        var scene = Scene(rules: try ReplyRules([]))
        for decision in ["failed", "another source"] {
            scene.arrive(scene.work(["a@x.example"]))
            scene.resolve()
            let plan = try #require(scene.openings().first)
            scene.open(plan)
            scene.answer(plan.id, [.said(550, nil, "about source", at: .rcpt)], reusable: false)
            #expect(scene.attempts().map(\.decision) == [decision])
            _ = scene.take()
            scene.planner.rules = try Self.rules()
        }
    }
}
