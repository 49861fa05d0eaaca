import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// How much a receiver gets at a time.
@Suite("Site limits")
struct SiteLimitTests {
    let rules: ReplyRules

    init() throws { rules = try ReplyRules([]) }

    @Test func `the domain's own rule comes first, then the longest name of its host`() {
        let found = SiteRules([
            SiteRule(name: "google", hosts: ["google.com", "googlemail.com"], limits: SiteLimits(sessions: 1)),
            SiteRule(name: "one", hosts: ["l.google.com"], limits: SiteLimits(sessions: 2)),
            SiteRule(name: "gmail.com", limits: SiteLimits(sessions: 3)),
            SiteRule(name: "late", hosts: ["google.com"], limits: SiteLimits(sessions: 4)),
        ])
        #expect(found.rule(domain: "gmail.com", host: "gmail-smtp-in.l.google.com")?.name == "gmail.com")
        #expect(found.rule(domain: "x.example", host: "aspmx.l.google.com")?.name == "one")
        #expect(found.rule(domain: "x.example", host: "smtp.google.com")?.name == "google")
        #expect(found.rule(domain: "x.example", host: "google.com")?.name == "google")
        #expect(found.rule(domain: "x.example", host: "notgoogle.com") == nil)
        #expect(found.rule(domain: "x.example", host: nil) == nil)
    }

    @Test func `an allowance paces messages, and time unused is worth a second`() {
        let rate = SiteLimits.Rate(messages: 10, per: .seconds(1))
        let allowance = Allowance(SiteRule(name: "x", limits: SiteLimits(rate: rate)))
        var now = Timestamp(milliseconds: 1_800_000_000_000)
        #expect(allowance.ready(at: now) == 10)
        for _ in 0..<10 { allowance.spend(at: now) }
        #expect(allowance.ready(at: now) == 0)
        #expect(allowance.opens(after: now) - now == Timestamp.Span(milliseconds: 100))
        now = now + Timestamp.Span(milliseconds: 250)
        #expect(allowance.ready(at: now) == 2)
        now = now + .hours(5)
        #expect(allowance.ready(at: now) == 10)
        for _ in 0..<10 { allowance.spend(at: now) }
        now = now + .hours(-3)
        #expect(allowance.opens(after: now) - now <= Timestamp.Span(milliseconds: 100), "the clock was set back")
    }

    @Test func `a slow rate has no burst`() {
        let rate = SiteLimits.Rate(messages: 6, per: .minutes(1))
        let allowance = Allowance(SiteRule(name: "x", limits: SiteLimits(rate: rate)))
        let now = Timestamp(milliseconds: 1_800_000_000_000)
        #expect(allowance.ready(at: now) == 1)
        allowance.spend(at: now)
        #expect(allowance.ready(at: now) == 0)
        #expect(allowance.opens(after: now) == now + .seconds(10))
    }

    @Test func `a domain has no more sessions, and a session no more messages, than its rule says`() throws {
        let limits = [SiteRule(name: "x.example", limits: SiteLimits(sessions: 2, messagesPerSession: 1))]
        var scene = Scene(limits: limits, rules: rules)
        for _ in 0..<6 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        var opened = 0
        for _ in 0..<3 {
            let plans = scene.openings()
            #expect(plans.count == 2)
            opened += plans.count
            for plan in plans { scene.open(plan) }
            for (id, _) in scene.transactions() { scene.answer(id, [.accepted]) }
        }
        #expect(opened == 6 && scene.openings().isEmpty)
        #expect(scene.planner.works == 0)
    }

    @Test func `domains of one receiver share its sessions, whatever their hosts are called`() throws {
        let limits = [SiteRule(name: "big", hosts: ["big.example"], limits: SiteLimits(sessions: 3))]
        var scene = Scene(limits: limits, rules: rules)
        for tenant in ["one", "two", "three"] {
            for _ in 0..<2 { scene.arrive(scene.work(["a@\(tenant).example"])) }
        }
        scene.resolve { .hosts(Scene.hosts(["\($0.prefix { $0 != "." }).mail.big.example": 10])) }
        let plans = scene.openings()
        #expect(plans.count == 3)
        for plan in plans { scene.open(plan) }
        for (id, _) in scene.transactions() { scene.answer(id, [.accepted], reusable: false) }
        // The next tick gives the free places to those that wait.
        scene.wait(Timestamp.Span(milliseconds: 250))
        #expect(scene.openings().count == 3)
        #expect(scene.planner.allowances["big"]?.sessions == 3)
    }

    @Test func `a fast rate is kept in memory from tick to tick`() throws {
        let rate = SiteLimits.Rate(messages: 20, per: .seconds(1))
        var scene = Scene(
            limits: [SiteRule(name: "x.example", limits: SiteLimits(rate: rate))], rules: rules
        ) { $0.sessionsPerSite = 100 }
        for _ in 0..<100 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let start = scene.now
        var delivered = 0
        while delivered < 100, scene.now - start < .seconds(30) {
            for plan in scene.openings() { scene.open(plan) }
            var sends = scene.transactions()
            while !sends.isEmpty {
                for (id, _) in sends { scene.answer(id, [.accepted]) }
                delivered += sends.count
                sends = scene.transactions()
            }
            scene.wait(Timestamp.Span(milliseconds: 250))
        }
        #expect(delivered == 100)
        // 20 at once, then 20 a second.
        #expect(scene.now - start >= .seconds(4) && scene.now - start < .seconds(5))
        #expect(scene.planner.paced.count <= 1)
    }

    @Test func `for a slow rate mail waits in the store`() throws {
        let rate = SiteLimits.Rate(messages: 6, per: .hours(1))
        var scene = Scene(limits: [SiteRule(name: "x.example", limits: SiteLimits(rate: rate))], rules: rules)
        for _ in 0..<3 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let plans = scene.openings()
        #expect(plans.count == 1, "one may begin, so one session is opened")
        scene.open(plans[0])
        let sent = try #require(scene.transactions().first)
        scene.answer(sent.0, [.accepted])
        #expect(scene.transactions().isEmpty)
        #expect(scene.postponed()["x.example"] == scene.now + .minutes(10))
        #expect(scene.settlements().count { $0.remaining != nil } == 2)
        #expect(scene.planner.works == 0)
        #expect(scene.arrive(scene.work(["a@x.example"])).count == 1, "and what comes meanwhile as well")
    }

    @Test func `sites that wait for a session are remembered once`() throws {
        var scene = Scene(rules: rules) { $0.sessions = 1 }
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        #expect(scene.openings().count == 1)
        for _ in 0..<50 {
            scene.arrive(scene.work(["a@y.example"]))
            scene.resolve()
        }
        #expect(scene.planner.crowdedOut.count == 1)
    }
}
