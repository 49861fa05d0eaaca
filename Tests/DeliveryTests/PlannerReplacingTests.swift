import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// A reload in the middle of everything.
@Suite("Replacing the map")
struct PlannerReplacingTests {
    let rules: ReplyRules

    init() throws { rules = try ReplyRules([]) }

    private func map(_ names: [String], limits: [SiteRule] = [], sites: [String: IPMap.FixedSite] = [:]) -> IPMap {
        let sources = names.map { name in
            let number = UInt32(name.drop { $0 != "-" }.dropFirst()) ?? 0
            return Source(name: name, address: IPAddress(v4: 0x7F4D_0000 + number), ehlo: "out-\(number).lab.example")
        }
        return IPMap(
            pools: ["main": IPMap.Pool(name: "main", sources: sources)],
            routes: ["default": [IPMap.Step(pool: "main", budget: 4)]], sites: sites, rules: limits)
    }

    private func replace(_ scene: inout Scene, _ map: IPMap) {
        scene.planner.replace(
            PlannerReplacement(configuration: scene.planner.configuration, map: map, rules: rules), at: scene.now)
        scene.collect()
    }

    @Test func `sources keep their numbers, and those that are gone give theirs to others when no session has them`() {
        var table = SourceTable(map(["lab-1", "lab-2", "lab-3"]))
        let second = table.number(of: "lab-2")
        table = SourceTable(map(["lab-2", "lab-4", "lab-5"]), after: table, used: [0])
        #expect(table.number(of: "lab-2") == second)
        #expect(table.number(of: "lab-1") == nil)
        #expect(table.sources[0].name == "lab-1", "a session still names it")
        #expect(table.sources.count == 4 && table.count == 3)
        #expect(!table.isCurrent(0) && table.pool(of: "default", step: 0)?.isMember[0] == false)
        table = SourceTable(map(["lab-2", "lab-4", "lab-5", "lab-6"]), after: table, used: [])
        #expect(table.sources.count == 4 && table.number(of: "lab-6") == 0 && table.renewed == [0])
    }

    @Test func `a session from a source that is gone ends its message and carries no other`() throws {
        var scene = Scene(sources: 1, rules: rules)
        for _ in 0..<4 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let plans = scene.openings()
        for plan in plans { scene.open(plan) }
        let sent = scene.transactions()
        let late = scene.openings()
        replace(&scene, map(["lab-7"]))
        for (id, _) in sent { scene.answer(id, [.accepted]) }
        #expect(scene.transactions().isEmpty)
        for plan in late { scene.open(plan) }
        #expect(scene.transactions().isEmpty, "nor does one that was being opened")
        #expect(!(sent.map(\.0) + late.map(\.id)).contains(where: scene.planner.knows))
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let opened = scene.openings()
        #expect(!opened.isEmpty && Set(opened.map(\.source.name)) == ["lab-7"])
    }

    @Test func `what is known of a source that stays is kept`() throws {
        var scene = Scene(sources: 3, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.fail(plan, .banner, .reply(Reply(554, nil, "your address is blocked")))
        let refused = scene.planner.sources(at: scene.now).first { !$0.cooling.isEmpty }
        replace(&scene, map(["lab-3", "lab-2", "lab-1", "lab-9"]))
        let after = scene.planner.sources(at: scene.now).first { !$0.cooling.isEmpty }
        #expect(refused != nil && refused?.source == after?.source && after?.tally.blamed == 1)
    }

    @Test func `limits that changed count from now on, also for sessions that are open`() throws {
        let rule = { SiteRule(name: "x.example", limits: SiteLimits(sessions: $0)) }
        var scene = Scene(sources: 1, limits: [rule(2)], rules: rules)
        for _ in 0..<9 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        #expect(scene.openings().count == 2)
        replace(&scene, map(["lab-1"], limits: [rule(1)]))
        let site = try #require(scene.planner.sites.values.first)
        #expect(site.allowance?.rule.limits.sessions == 1)
        for session in Array(scene.planner.sessions.values) {
            scene.fail(session.plan, .connect, .trouble(.timeout, "timed out"))
        }
        #expect(site.sessions == 0 && site.allowance?.sessions == 0)
    }

    @Test func `a domain that gets a fixed way is looked up again at once`() throws {
        var scene = Scene(sources: 1, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve { _ in .later("SERVFAIL") }
        #expect(scene.planner.hindrance(of: "x.example", at: scene.now)?.why == "SERVFAIL")
        _ = scene.take()
        replace(
            &scene,
            map(["lab-1"], sites: ["x.example": IPMap.FixedSite(host: "192.0.2.9", port: 2525, tls: .none)]))
        #expect(scene.postponed()["x.example"] == scene.now)
        scene.arrive(scene.work(["a@x.example"]))
        #expect(
            scene.actions.contains { if case .resolve(.host("192.0.2.9", "x.example")) = $0 { true } else { false } })
    }
}
