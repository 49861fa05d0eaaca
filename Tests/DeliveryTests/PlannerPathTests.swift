import DNS
import Mail
import Queue
import Testing

@testable import Delivery

@Suite("Planner paths")
struct PlannerPathTests {
    let rules: ReplyRules
    static let listed = PhaseAnswer.said(550, EnhancedStatus(5, 7, 1), "blocked using dnsbl.example", at: .rcpt)
    static let network = PhaseAnswer.said(550, EnhancedStatus(5, 7, 1), "your network is blocked", at: .rcpt)

    init() throws {
        var listed = ReplyRule(
            id: "listed", cause: .source, source: "test", examples: ["550 5.7.1 blocked using dnsbl.example"])
        listed.patterns = ["blocked using"]
        var network = ReplyRule(
            id: "network", cause: .range, source: "test", examples: ["550 5.7.1 your network is blocked"])
        network.patterns = ["your network"]
        rules = try ReplyRules([listed, network])
    }

    /// One message more; what is asked for afterwards.
    private func arrive(_ scene: inout Scene, _ recipient: String = "a@x.example") -> [SessionPlan] {
        scene.arrive(scene.work([recipient]))
        scene.resolve()
        return scene.openings()
    }

    private func isOpen(_ site: Site) -> Bool { site.receiver.ranges["lab"]?.isOpen ?? false }

    /// Nothing but probes goes to the site, from whatever source.
    private func turnsAway(_ site: Site, _ scene: Scene) -> Bool {
        scene.planner.table.sources.allSatisfy { site.receiver.refusal(of: $0, at: scene.now) != nil }
    }

    private func path(_ scene: Scene, _ site: String = "mx.x.example", _ source: Int = 1) -> Cooldown? {
        scene.planner.receivers[site]?.paths[IPAddress(v4: 0x7F4D_0000 + UInt32(source))]?.cooldown
    }

    @Test func `a source rests for longer with each refusal, and each success takes back half`() throws {
        var scene = Scene(sources: 1, rules: rules)
        let rests: [Timestamp.Span] = [.minutes(30), .hours(1), .hours(2), .hours(6), .hours(6)]
        for (level, rest) in zip([1, 2, 3, 4, 4], rests) {
            let plan = try #require(arrive(&scene).first)
            scene.open(plan)
            scene.answer(plan.id, [Self.listed])
            let found = try #require(path(scene))
            #expect(found.level == level && found.until == scene.now + rest && found.cause == .source)
            #expect(found.rule == "listed" && found.reply.contains("blocked using dnsbl.example"))
            scene.wait(rest + -1)
            #expect(arrive(&scene).isEmpty, "it rests until the last moment")
            scene.wait(.seconds(0) + 1)
        }
        for level in [2, 1, nil] {
            let plan = try #require(arrive(&scene).first)
            scene.open(plan)
            scene.answer(plan.id, [.accepted])
            #expect(path(scene)?.level == level)
            scene.wait(scene.planner.configuration.probeInterval)
        }
        #expect(scene.planner.receivers["mx.x.example"]?.isBlank == true, "nothing is known of it any more")
    }

    @Test func `after its rest a source is shown one message, whatever waits, and then the others go`() throws {
        var scene = Scene(sources: 1, rules: rules)
        let first = try #require(arrive(&scene).first)
        scene.open(first)
        scene.answer(first.id, [Self.listed])
        scene.wait(.minutes(30))
        for _ in 0..<30 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let probes = scene.openings()
        #expect(probes.count == 1)
        let probe = try #require(probes.first)
        scene.open(probe)
        #expect(scene.transactions().count == 2, "that of the first message, and the probe's")
        #expect(scene.openings().isEmpty, "the others wait for what comes of it")
        scene.answer(probe.id, [.accepted])
        #expect(!scene.planner.knows(probe.id), "it carries one message")
        #expect(scene.openings().count == 20, "as many sessions as the site may have")
    }

    @Test func `refusals that come together count once`() throws {
        var scene = Scene(sources: 1, rules: rules)
        for _ in 0..<5 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let plans = scene.openings()
        #expect(plans.count > 1)
        for plan in plans { scene.fail(plan, .banner, .reply(Reply(554, nil, "blocked using dnsbl.example"))) }
        #expect(path(scene)?.level == 1)
    }

    @Test func `tenants of one provider share what is known, and nobody else does`() throws {
        let provider = SiteRule(name: "cloud", hosts: ["cloud.example"], limits: SiteLimits(sessions: 9))
        let own = SiteRule(name: "b.example", limits: SiteLimits(sessions: 1))
        var scene = Scene(sources: 1, limits: [provider, own], rules: rules)
        let hosts = ["a.example": "a.cloud.example", "b.example": "b.cloud.example", "c.example": "mx.c.example"]
        func arrive(_ domain: String) -> [SessionPlan] {
            scene.arrive(scene.work(["x@\(domain)"]))
            scene.resolve { .hosts(Scene.hosts([hosts[$0] ?? "": 10])) }
            return scene.openings()
        }
        let plan = try #require(arrive("a.example").first)
        scene.open(plan)
        scene.answer(plan.id, [Self.listed])
        #expect(path(scene, "cloud")?.level == 1)
        #expect(arrive("b.example").isEmpty, "with limits of its own it is the same provider's")
        #expect(arrive("c.example").count == 1)
    }

    @Test func `eight refused sources open the breaker: then one probe at a time, and acceptance closes it`() throws {
        var scene = Scene(sources: 200, budget: 4, rules: rules)
        var used: Set<String> = []
        for _ in 0..<2 {
            var plans = arrive(&scene)
            for _ in 0..<4 {
                let plan = try #require(plans.first)
                used.insert(plan.source.name)
                scene.open(plan)
                scene.answer(plan.id, [Self.listed])
                plans = scene.openings()
            }
        }
        #expect(used.count == 8)
        let site = try #require(scene.planner.sites.values.first)
        #expect(isOpen(site))
        #expect(turnsAway(site, scene))
        for _ in 0..<100 { scene.arrive(scene.work(["a@x.example"])) }
        var shown = 0
        for _ in 0..<60 {
            // A minute: a probe in ten seconds, however much is handed in.
            scene.wait(.seconds(1))
            scene.arrive(scene.work(["a@x.example"]))
            for plan in scene.openings() {
                shown += 1
                scene.fail(plan, .banner, .reply(Reply(554, nil, "blocked using dnsbl.example")))
            }
        }
        #expect((5...7).contains(shown))
        scene.wait(.seconds(10))
        for _ in 0..<10 where isOpen(site) {
            for plan in arrive(&scene) {
                scene.open(plan)
                scene.answer(plan.id, [.accepted])
            }
            scene.wait(.seconds(10))
        }
        #expect(!isOpen(site))
        #expect(site.receiver.ranges["lab"]?.refused.isEmpty ?? true)
    }

    @Test func `a source that was taken while the breaker is open carries the mail`() throws {
        var scene = Scene(sources: 50, budget: 4, rules: rules) { $0.rangeBreaker = 2 }
        var plans = arrive(&scene)
        for _ in 0..<3 {
            let plan = try #require(plans.first)
            scene.open(plan)
            scene.answer(plan.id, [Self.listed])
            scene.wait(.seconds(11))
            plans = scene.openings()
            if plans.isEmpty { plans = arrive(&scene) }
        }
        let good = try #require(plans.first)
        scene.open(good)
        let sent = scene.transactions()
        let id = try #require(sent.last?.0)
        #expect(id == good.id)
        scene.answer(good.id, [.accepted])
        let site = try #require(scene.planner.sites.values.first)
        #expect(isOpen(site), "one success of two that are needed")
        for _ in 0..<5 { scene.arrive(scene.work(["a@x.example"])) }
        let names = scene.openings().map(\.source.name)
        #expect(names.count { $0 == good.source.name } >= 4 && names.count { $0 != good.source.name } <= 1, "a probe")
    }

    @Test func `a refusal of the network leaves the whole range alone`() throws {
        var scene = Scene(sources: 20, rules: rules)
        let plan = try #require(arrive(&scene).first)
        scene.open(plan)
        scene.answer(plan.id, [Self.network])
        #expect(scene.openings().isEmpty)
        #expect(arrive(&scene).isEmpty)
        let site = try #require(scene.planner.sites.values.first)
        #expect(turnsAway(site, scene))
        scene.wait(.minutes(30))
        for _ in 0..<3 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        #expect(scene.openings().count == 1, "then a probe")
    }

    @Test func `a pool's own cooldown counts`() throws {
        var scene = Scene(sources: 1, rules: rules)
        let source = Source(name: "lab-1", address: IPAddress(v4: 0x7F4D_0001), ehlo: "out-1.lab.example")
        let pool = IPMap.Pool(name: "main", sources: [source], cooldown: [.minutes(1), .minutes(3)])
        let map = IPMap(
            pools: ["main": pool], routes: ["default": [IPMap.Step(pool: "main", budget: 4)]], sites: [:])
        scene.planner.replace(
            PlannerReplacement(configuration: scene.planner.configuration, map: map, rules: rules), at: scene.now)
        for rest in [Timestamp.Span.minutes(1), .minutes(3), .minutes(3)] {
            let plan = try #require(arrive(&scene).first)
            scene.open(plan)
            scene.answer(plan.id, [Self.listed])
            #expect(path(scene)?.until == scene.now + rest)
            scene.wait(rest)
        }
    }
}

extension Timestamp.Span {
    fileprivate static func + (left: Self, right: Int64) -> Self { Self(milliseconds: left.milliseconds + right) }
}
