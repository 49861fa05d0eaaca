import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// What operators want of mail that is in memory.
@Suite struct `A steered planner` {
    let rules: ReplyRules

    init() throws {
        var listed = ReplyRule(
            id: "listed", cause: .source, source: "test", examples: ["550 5.7.1 blocked using dnsbl.example"])
        listed.patterns = ["blocked using"]
        rules = try ReplyRules([listed])
    }

    func recall(_ keys: [WorkKey], _ scene: inout Scene) -> [WorkKey] {
        let wired = scene.planner.recall(Set(keys), at: scene.now)
        scene.collect()
        return wired
    }

    @Test func `gives back what waits for its domain's hosts`() throws {
        var scene = Scene(rules: rules)
        let works = scene.work(["a@x.example"]) + scene.work(["b@x.example"])
        scene.arrive(works)
        #expect(recall([works[0].key], &scene) == [])
        let back = scene.settlements()
        #expect(back.map(\.key) == [works[0].key])
        #expect(back.allSatisfy { $0.unchanged && !$0.stillHandedOut })
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        #expect(scene.transactions().map { $0.1.recipients.map(\.localPart) } == [["b"]])
        #expect(scene.planner.works == 1)
    }

    @Test func `gives back what waits at its site, and parts of what goes together`() throws {
        var scene = Scene(rules: rules) { $0.sessionsPerSite = 1 }
        // Both domains have the same host, so that works of one message wait as one.
        scene.arrive(scene.work(["z@x.example"]))
        scene.arrive(scene.work(["z@y.example"]))
        scene.resolve { _ in .hosts(Scene.hosts(["mx.x.example": 10])) }
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(try #require(scene.transactions().first).0, [.accepted])
        let send = try #require(scene.transactions().first)
        _ = scene.settlements()
        let pair = scene.work(["a@x.example", "b@y.example"])
        scene.arrive(pair)
        let single = scene.work(["c@x.example"])
        scene.arrive(single)
        #expect(recall([pair[0].key, single[0].key], &scene) == [])
        #expect(Set(scene.settlements().map(\.key)) == [pair[0].key, single[0].key])
        #expect(scene.planner.works == 2)
        scene.answer(send.0, [.accepted])
        let next = scene.transactions().map { $0.1.recipients.map(\.localPart) }
        #expect(next == [["b"]])
        #expect(scene.planner.works == 1)
    }

    @Test func `lets what is on the wire come to its end, and tries it no more`() throws {
        var scene = Scene(rules: rules)
        let works = scene.work(["a@x.example"])
        scene.arrive(works)
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        let (id, _) = try #require(scene.transactions().first)
        #expect(recall([works[0].key], &scene) == [works[0].key])
        #expect(scene.settlements().isEmpty)
        // Refused because of the source: it would go on from another one.
        scene.answer(id, [.said(550, EnhancedStatus(5, 7, 1), "blocked using dnsbl.example", at: .rcpt)])
        let settlements = scene.settlements()
        #expect(settlements.map(\.stillHandedOut) == [true, false])
        #expect(settlements.last?.remaining?.progress.tried == [plan.source.name])
        #expect(settlements.last?.remaining?.progress.site == "mx.x.example")
        #expect(settlements.last?.remaining?.progress.source == plan.source.name)
        #expect(scene.openings().isEmpty)
        #expect(scene.planner.works == 0)
    }

    @Test func `forgets what stood in the way of a domain that is to be tried now`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.fail(plan, .connect, .trouble(.connection, "refused"))
        #expect(scene.planner.blockedSites == 1)
        let note = try #require(scene.planner.note(of: "x.example", at: scene.now))
        #expect(note.name == "mx.x.example" && note.until != nil && note.why?.contains("refused") == true)
        _ = scene.take()
        scene.planner.lift(["x.example"], at: scene.now)
        #expect(scene.planner.blockedSites == 0)
        scene.planner.due(domains: ["x.example"], at: scene.now)
        scene.collect()
        #expect(scene.postponed().isEmpty)
        let fetches = scene.take().compactMap {
            if case .fetch(let domain, let limit) = $0 { (domain, limit) } else { nil }
        }
        #expect(fetches.map(\.0) == ["x.example"])
        #expect(fetches.allSatisfy { $0.1 <= 5 }, "a few at first")
    }

    @Test func `tries a host that rested before a restart as well`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        scene.fail(try #require(scene.openings().first), .connect, .trouble(.connection, "refused"))
        let kept = scene.actions.flatMap { action in
            if case .remember(let rows) = action { rows } else { [PathRow]() }
        }
        func restarted() -> Scene {
            var again = Scene(rules: rules)
            again.now = scene.now + .seconds(1)
            again.planner.remembered(kept, at: again.now)
            return again
        }
        var again = restarted()
        again.arrive(again.work(["a@x.example"]))
        again.resolve()
        #expect(again.openings().isEmpty, "it rests")
        again = restarted()
        again.planner.lift(["x.example"], at: again.now)
        again.arrive(again.work(["a@x.example"]))
        again.resolve()
        #expect(again.openings().count == 1)
        // What was said of it counts once, and not for ever.
        again = restarted()
        again.planner.lift(["x.example"], at: again.now + .minutes(-20))
        again.arrive(again.work(["a@x.example"]))
        again.resolve()
        #expect(again.openings().isEmpty)
    }
}
