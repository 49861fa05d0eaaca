import DNS
import Mail
import Queue
import SMTP
import Testing

@testable import Delivery

/// Mail on routes of its own: who comes when, and what outlives a restart and a reload.
@Suite("Planner, routes")
struct PlannerRouteTests {
    private static let provider = IPMap.Relay.provider(password: "old")
    private let rules: ReplyRules

    init() throws {
        rules = try ReplyRules(
            [Cause.source, .volume].map { cause in
                var rule = ReplyRule(
                    id: cause.rawValue, cause: cause, source: "test", examples: ["550 about \(cause.rawValue)"])
                rule.patterns = ["about \(cause.rawValue)"]
                return rule
            })
    }

    private func said(_ code: UInt16, _ cause: Cause) -> PhaseAnswer {
        .said(code, nil, "about \(cause.rawValue)", at: .rcpt)
    }

    private func relayScene(_ sources: Int = 4, budget: Int = 1, seed: UInt64 = 1) -> Scene {
        Scene(
            sources: sources, steps: [.pool("main", budget: budget), .relay("provider", within: .hours(24))],
            seed: seed, relays: [Self.provider], rules: rules)
    }

    /// Reads a work back from the store and opens what it asks for.
    private func fetch(_ work: Work, _ scene: inout Scene) -> SessionPlan? {
        scene.planner.fetched(domain: work.domain, works: [work], more: false, at: scene.now)
        scene.collect()
        scene.resolve()
        return scene.openings().first
    }

    // MARK: Fairness

    private func whoIsServed(_ arrivals: [(customer: String, count: Int)], _ routes: [String: IPMap.Route]) throws
        -> [String]
    {
        var scene = Scene(sources: 4, messagesPerSession: 100, routes: routes, rules: rules) { configuration in
            configuration.sessionsPerSite = 1
        }
        for (customer, count) in arrivals {
            for _ in 0..<count { scene.arrive(scene.work(["a@x.example"], customer: customer)) }
        }
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        var served: [String] = []
        while let (id, transaction) = scene.transactions().first {
            served.append(transaction.message.customer)
            scene.answer(id, [.accepted])
        }
        return served
    }

    @Test func `customers of one route, and of several, take turns with everybody`() throws {
        let own: [IPMap.Step] = [.pool("main", budget: 2)]
        let served = try whoIsServed(
            [("acme", 20), ("globex", 2), ("initech", 2), ("umbrella", 2)],
            [
                "both": IPMap.Route(own, when: IPMap.Condition(customers: ["acme", "globex"])),
                "third": IPMap.Route(own, when: IPMap.Condition(customers: ["initech"])),
            ])
        #expect(served.count == 26)
        for customer in ["globex", "initech", "umbrella"] {
            let last = try #require(served.lastIndex(of: customer))
            #expect(last < 10, "\(customer) waits behind a flood: \(served)")
        }
        #expect(served.prefix(4).contains("acme"))
    }

    @Test func `a flood from <> keeps no letter waiting`() throws {
        let served = try whoIsServed(
            [("acme", 20), ("globex", 1)],
            [
                "notices": IPMap.Route(
                    [.pool("main", budget: 1)], when: IPMap.Condition(nullSender: true, customers: ["acme"]))
            ])
        #expect(try #require(served.firstIndex(of: "globex")) < 3)
    }

    // MARK: Volume

    @Test(arguments: [(59, false), (61, true)])
    func `too much for longer than after_volume leads to the relay`(_ minutes: Int64, _ isHanded: Bool) throws {
        var scene = relayScene()
        var work = try #require(scene.work(["a@x.example"]).first)
        work.progress.volumeSince = scene.now + .minutes(-minutes)
        let plan = try #require(fetch(work, &scene))
        scene.open(plan)
        scene.answer(plan.id, [said(450, .volume)], reusable: false)
        scene.resolve { domain in
            .hosts(Scene.hosts([domain.hasPrefix("relay ") ? Self.provider.host : "mx.\(domain)": 10]))
        }
        let left = try #require(scene.settlements().last?.remaining)
        #expect((left.progress.relay?.cause == .volume) == isHanded)
        #expect(scene.openings().contains { $0.host == Self.provider.host } == isHanded)
        if !isHanded {
            #expect(left.progress.volumeSince == work.progress.volumeSince && left.progress.due > scene.now)
        }
    }

    @Test func `the first time that is too much only begins to count, and another answer forgets it`() throws {
        var scene = relayScene()
        let work = try #require(scene.work(["a@x.example"]).first)
        let plan = try #require(fetch(work, &scene))
        scene.open(plan)
        scene.answer(plan.id, [said(450, .volume)], reusable: false)
        let left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.volumeSince == scene.now && left.progress.relay == nil)
        var other = relayScene(seed: 2)
        let again = try #require(fetch(left, &other))
        other.open(again)
        other.answer(again.id, [.said(450, nil, "mailbox full", at: .rcpt)], reusable: false)
        #expect(try #require(other.settlements().last?.remaining).progress.volumeSince == nil)
    }

    // MARK: Budget

    @Test func `tried sources and their count survive a restart and a reload`() throws {
        var scene = Scene(sources: 8, budget: 2, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        for _ in 0..<2 {
            let plan = try #require(scene.openings().first)
            scene.open(plan)
            scene.answer(plan.id, [said(550, .source)], reusable: false)
        }
        #expect(scene.openings().isEmpty, "the budget of this round is spent")
        var work = try #require(scene.settlements().last?.remaining)
        #expect(Set(work.progress.tried).count == 2 && work.progress.attempts == 2)
        for (round, seed) in [UInt64(7), 8, 9].enumerated() {
            var next = Scene(sources: 8, budget: 2, seed: seed, rules: rules)
            next.now = work.progress.due
            if round == 1 {
                let map = IPMap(
                    pools: [
                        "main": IPMap.Pool(
                            name: "main",
                            sources: (1...8).map { number in
                                Source(
                                    name: "lab-\(number)", address: IPAddress(v4: 0x7F4D_0000 + UInt32(number)),
                                    ehlo: "out-\(number).lab.example", range: "lab")
                            })
                    ], routes: ["default": [IPMap.Step(pool: "main", budget: 2)]], sites: [:])
                next.planner.replace(
                    PlannerReplacement(configuration: next.planner.configuration, map: map, rules: rules),
                    at: next.now)
                next.collect()
            }
            let plan = try #require(fetch(work, &next))
            #expect(!work.progress.tried.contains(plan.source.name), "no source twice")
            next.open(plan)
            next.answer(plan.id, [said(550, .source)], reusable: false)
            #expect(next.openings().isEmpty, "a spent budget has one source at each retry")
            let before = work.progress
            work = try #require(next.settlements().last?.remaining)
            #expect(work.progress.tried == before.tried + [plan.source.name])
            #expect(work.progress.attempts == before.attempts + 1 && work.progress.due > next.now)
        }
    }

    // MARK: Reload

    /// At a relay that refused the connection; what is left of the work.
    private func atDeadRelay(_ scene: inout Scene) throws -> Work {
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let direct = try #require(scene.openings().first)
        scene.open(direct)
        scene.answer(direct.id, [said(550, .source)], reusable: false)
        scene.resolve { _ in .hosts(Scene.hosts([Self.provider.host: 10])) }
        let plan = try #require(scene.openings().first)
        #expect(plan.host == Self.provider.host && plan.login?.description.contains("figaro") == true)
        scene.fail(plan, .connect, .trouble(.connection, "connection refused"))
        return try #require(scene.settlements().last?.remaining)
    }

    private func replace(_ scene: inout Scene, _ relay: IPMap.Relay?) {
        let source = { (number: Int) in
            Source(
                name: "lab-\(number)", address: IPAddress(v4: 0x7F4D_0000 + UInt32(number)),
                ehlo: "out-\(number).lab.example", range: "lab")
        }
        var steps: [IPMap.Step] = [.pool("main", budget: 1)]
        if let relay { steps.append(.relay(relay.name, within: .hours(24))) }
        var map = IPMap(
            pools: ["main": IPMap.Pool(name: "main", sources: (1...4).map(source))],
            routes: ["default": IPMap.Route(steps)], sites: [:])
        if let relay { map.relays[relay.name] = relay }
        scene.planner.replace(
            PlannerReplacement(configuration: scene.planner.configuration, map: map, rules: rules), at: scene.now)
        scene.collect()
    }

    @Test func `a relay that got another host or password is asked at once, and the deadline stays`() throws {
        for change in ["host", "password", "nothing"] {
            var scene = relayScene()
            let work = try atDeadRelay(&scene)
            var relay = Self.provider
            if change == "host" { relay.host = "smtp.other.example" }
            if change == "password" { relay.login = Login(username: "figaro", password: "new") }
            scene.wait(.seconds(1))
            replace(&scene, relay)
            // The store names it as due: a reload has it retried.
            scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
            scene.collect()
            scene.resolve { _ in .hosts(Scene.hosts([relay.host: 10])) }
            let plan = try #require(scene.openings().first, "\(change)")
            #expect(plan.host == relay.host && plan.login == relay.login)
            scene.open(plan)
            scene.answer(plan.id, [.said(451, nil, "busy", at: .mail)])
            let left = try #require(scene.settlements().last?.remaining)
            #expect(left.progress.relay?.until == work.progress.relay?.until)
            #expect(left.progress.relay?.entered == work.progress.relay?.entered)
        }
    }

    @Test func `a relay that is gone lets its mail go back to sources that were not tried`() throws {
        var scene = relayScene()
        let work = try atDeadRelay(&scene)
        replace(&scene, nil)
        let plan = try #require(fetch(work, &scene))
        #expect(plan.host == "mx.x.example" && !work.progress.tried.contains(plan.source.name))
        scene.open(plan)
        scene.answer(plan.id, [.accepted])
        let end = try #require(scene.settlements().last)
        #expect(end.ended.map(\.how) == [.delivered] && end.remaining == nil)
    }

    @Test func `an operator's retry asks a relay that rests`() throws {
        var scene = relayScene()
        let work = try atDeadRelay(&scene)
        scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
        scene.collect()
        #expect(scene.openings().isEmpty, "it rests")
        scene.planner.lift(["x.example"], at: scene.now)
        scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
        scene.collect()
        scene.resolve { _ in .hosts(Scene.hosts([Self.provider.host: 10])) }
        #expect(scene.openings().map(\.host) == [Self.provider.host])
    }

    @Test func `whether a relay rests is told`() throws {
        var scene = relayScene()
        #expect(scene.planner.figures(at: scene.now).relays == ["provider": nil])
        _ = try atDeadRelay(&scene)
        let why = try #require(scene.planner.figures(at: scene.now).relays["provider"] ?? nil)
        #expect(why.contains("connection refused"))
        #expect(scene.planner.figures(at: scene.now + .hours(1)).relays == ["provider": nil])
    }
}
