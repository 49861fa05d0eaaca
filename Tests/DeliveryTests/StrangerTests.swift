import Mail
import Queue
import Testing

@testable import Delivery

/// Replies that do not say plainly whom they are about, and receivers that refuse whom they do not know.
@Suite("Disputed replies and strangers") struct StrangerTests {
    private static func rules() throws -> ReplyRules {
        var disputed = ReplyRule(
            id: "disputed", cause: .unknown, source: "test", examples: ["550 policy of the house"])
        disputed.patterns = ["policy of the house"]
        disputed.isDisputed = true
        var content = ReplyRule(id: "content", cause: .content, source: "test", examples: ["550 policy on letters"])
        content.patterns = ["policy on letters"]
        content.isDisputed = true
        var stranger = ReplyRule(id: "stranger", cause: .source, source: "test", examples: ["550 who are you"])
        stranger.patterns = ["who are you"]
        stranger.refusesUnknown = true
        return try ReplyRules([disputed, content, stranger])
    }

    private static func begun(_ scene: inout Scene) throws -> SessionPlan {
        scene.arrive(scene.work(["a@x.example"], sender: .address(Address(localPart: "s", domain: "s.example"))))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        return plan
    }

    @Test(arguments: [UInt16(550), 451])
    func `what is disputed is tried from one other source, once`(code: UInt16) throws {
        var scene = Scene(sources: 10, messagesPerSession: 1, rules: try Self.rules())
        let first = try Self.begun(&scene)
        let said = PhaseAnswer.said(code, nil, "policy of the house", at: .rcpt)
        scene.answer(first.id, [said], reusable: false)
        let second = try #require(scene.openings().first)
        #expect(second.source != first.source)
        #expect(scene.planner.figures(at: scene.now).coolingPaths.isEmpty, "nothing is known against the first")
        scene.open(second)
        scene.answer(second.id, [said], reusable: false)
        #expect(scene.openings().isEmpty, "and no third one")
        let last = try #require(scene.settlements().last)
        if code == 550 {
            #expect(last.ended.map(\.how) == [.failed])
        } else {
            #expect(last.remaining?.progress.due == scene.now + .minutes(5))
        }
        #expect(scene.attempts().map(\.decision) == ["another source", code == 550 ? "failed" : "later"])
    }

    @Test func `content is never tried from another source, disputed or not`() throws {
        var scene = Scene(sources: 10, rules: try Self.rules())
        let plan = try Self.begun(&scene)
        scene.answer(plan.id, [.said(550, nil, "policy on letters", at: .dot)])
        #expect(scene.openings().isEmpty)
        #expect(scene.settlements().last?.ended.map(\.how) == [.failed])
    }

    @Test func `where strangers are refused, a source that was taken comes next`() throws {
        var scene = Scene(sources: 50, messagesPerSession: 1, rules: try Self.rules())
        let known = try Self.begun(&scene)
        scene.answer(known.id, [.accepted], reusable: false)
        for _ in 0..<10 {
            _ = scene.take()
            let stranger = try Self.begun(&scene)
            guard stranger.source != known.source else {
                scene.answer(stranger.id, [.accepted], reusable: false)
                continue
            }
            scene.answer(stranger.id, [.said(550, nil, "who are you", at: .rcpt)], reusable: false)
            let next = try #require(scene.openings().first)
            #expect(next.source == known.source)
            scene.open(next)
            scene.answer(next.id, [.accepted], reusable: false)
        }
    }

    @Test func `where strangers are refused and nobody is known, the budget is not shown in vain`() throws {
        let steps = [IPMap.Step(pool: "main", budget: 8), IPMap.Step(pool: "narrow", budget: 1)]
        var scene = Scene(sources: 20, messagesPerSession: 1, steps: steps, nullPool: [19], rules: try Self.rules())
        let plan = try Self.begun(&scene)
        if plan.source.name == "lab-20" { return }
        scene.answer(plan.id, [.said(550, nil, "who are you", at: .rcpt)], reusable: false)
        let next = try #require(scene.openings().first)
        #expect(next.source.name == "lab-20", "the next step at once")
    }

    @Test func `whom a receiver knows is remembered over a restart, and whom it turned away since is not`() throws {
        var scene = Scene(sources: 50, messagesPerSession: 1, rules: try Self.rules())
        let known = try Self.begun(&scene)
        scene.answer(known.id, [.accepted], reusable: false)
        scene.wait(.seconds(1))
        let kept = scene.take().flatMap { action -> [PathRow] in
            if case .remember(let rows) = action { rows.filter { $0.kind == .takers } } else { [] }
        }
        #expect(kept.map(\.site) == ["mx.x.example"] && kept.first?.value == known.source.address.description)

        for number in UInt64(0)..<5 {
            var again = Scene(sources: 50, messagesPerSession: 1, seed: number &+ 7, rules: try Self.rules())
            again.now = scene.now
            again.planner.remembered(kept, at: again.now)
            let first = try Self.begun(&again)
            again.answer(first.id, [.said(550, nil, "who are you", at: .rcpt)], reusable: false)
            guard first.source != known.source else {
                again.wait(.seconds(1))
                let rows = again.take().flatMap { action -> [PathRow] in
                    if case .remember(let rows) = action { rows.filter { $0.kind == .takers } } else { [] }
                }
                #expect(rows.map(\.value) == [nil])
                continue
            }
            #expect(again.openings().first?.source == known.source)
        }
    }

    @Test func `sources by number`() {
        var set = SourceSet()
        #expect(set.isEmpty)
        for source in [0, 63, 64, 1_000] { set.insert(source) }
        #expect([0, 63, 64, 1_000].allSatisfy(set.contains))
        #expect(![1, 62, 65, 999, 100_000].contains(where: set.contains))
        #expect(set.numbers == [0, 63, 64, 1_000] && set.count == 4)
        set.remove(64)
        set.remove(100_000)
        #expect(!set.contains(64))
        #expect(!set.isEmpty)
    }
}
