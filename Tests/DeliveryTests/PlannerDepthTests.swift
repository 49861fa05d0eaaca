import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// What a million messages for dead destinations may cost everyone else: nothing.
@Suite("Planner, dead destinations")
struct PlannerDepthTests {
    let rules: ReplyRules

    init() throws {
        rules = try ReplyRules([])
    }

    func scene(_ configure: @escaping (inout PlannerConfiguration) -> Void = { _ in }) -> Scene {
        Scene(messagesPerSession: 100, rules: rules) {
            $0.sessions = 20
            $0.sessionsPerSite = 5
            configure(&$0)
        }
    }

    /// One message that goes through, so that the site is known to take mail.
    func prove(_ domain: String, _ scene: inout Scene) throws {
        scene.arrive(scene.work(["a@\(domain)"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(plan.id, [.accepted])
        _ = scene.take()
    }

    /// Mail of a domain is read from the store, as much as the planner wants of `count` works.
    func read(
        _ domain: String, count: Int, failing: Bool = false, refused: String? = nil, _ scene: inout Scene
    ) throws {
        scene.planner.due(domains: [domain], failing: failing ? [domain] : [], at: scene.now)
        scene.collect()
        var limits: [Int] = []
        scene.actions.removeAll { action in
            guard case .fetch(let name, let limit) = action, name == domain else { return false }
            limits.append(limit)
            return true
        }
        let limit = try #require(limits.first, "\(domain) is not asked for: \(scene.actions)")
        let progress = Progress(due: scene.now, lastRefusal: refused)
        let works = (0..<min(count, limit)).flatMap { _ in
            scene.work(["a@\(domain)"], customer: "old", progress: progress)
        }
        scene.planner.fetched(domain: domain, works: works, more: count > limit, at: scene.now)
        scene.collect()
    }

    @Test func `sites that do not answer hold half of the sessions, two each`() throws {
        var scene = scene()
        try prove("alive.example", &scene)
        for number in 0..<50 { for _ in 0..<5 { scene.arrive(scene.work(["a@dead\(number).example"])) } }
        scene.resolve()
        let plans = scene.openings()
        #expect(plans.count == 10)
        #expect(Dictionary(grouping: plans, by: \.host).values.allSatisfy { $0.count <= 2 })
        scene.wait(.seconds(10))
        scene.arrive(scene.work(["b@alive.example"]))
        #expect(scene.openings().map(\.host) == ["mx.alive.example"])
        scene.fail(plans[0], .connect, .trouble(.timeout, "timed out"))
        #expect(scene.openings().count == 1, "the next in line")
    }

    @Test func `mail that was read back leaves half of those for new mail`() throws {
        var scene = scene()
        for number in 0..<50 {
            try read("dead\(number).example", count: 1, &scene)
            scene.resolve()
        }
        #expect(scene.openings().count == 5)
        scene.arrive(scene.work(["a@new.example"], customer: "letter"))
        scene.resolve()
        #expect(scene.openings().map(\.host) == ["mx.new.example"])
    }

    @Test func `sites that failed before leave half of that again to those of which nothing bad is known`() throws {
        var scene = scene { $0.sessions = 32 }
        for number in 0..<50 {
            try read("dead\(number).example", count: 1, failing: true, &scene)
            scene.resolve()
        }
        #expect(scene.openings().count == 4)
        try read("alive.example", count: 1, &scene)
        scene.resolve()
        #expect(scene.openings().map(\.host) == ["mx.alive.example"])
    }

    @Test func `name servers that do not answer leave lookups for domains of which nothing bad is known`() throws {
        var scene = scene()
        for number in 0..<50 { try read("dead\(number).example", count: 1, failing: true, &scene) }
        scene.planner.due(domains: ["dead50.example"], failing: ["dead50.example"], at: scene.now)
        scene.collect()
        #expect(!scene.actions.contains { if case .fetch = $0 { true } else { false } })
        try read("alive.example", count: 1, &scene)
    }

    @Test func `customers take turns in line`() throws {
        var scene = scene()
        for number in 0..<500 { scene.arrive(scene.work(["a@dead\(number).example"], customer: "news")) }
        scene.resolve()
        let plans = scene.openings()
        scene.arrive(scene.work(["a@new.example"], customer: "letter"))
        scene.resolve()
        #expect(scene.openings().isEmpty)
        for plan in plans.prefix(2) { scene.fail(plan, .connect, .trouble(.timeout, "timed out")) }
        #expect(scene.openings().map(\.host).contains("mx.new.example"))
    }

    @Test func `a dead destination is tried with five messages, and the same failure again costs no row`() throws {
        var scene = scene()
        for round in 0..<2 {
            let refused = round == 0 ? nil : "mx.dead.example connection refused (connect)"
            try read("dead.example", count: 100, refused: refused, &scene)
            #expect(scene.planner.works == 5)
            scene.resolve()
            let plans = scene.openings()
            var settlements: [Settlement] = []
            for plan in plans {
                scene.fail(plan, .connect, .trouble(.connection, "connection refused"))
                settlements += scene.settlements()
            }
            #expect(settlements.count == 5)
            #expect(settlements.allSatisfy { $0.unchanged == (round == 1) }, "they learn why, once")
            #expect(scene.planner.works == 0)
            let until = try #require(scene.postponed()["dead.example"])
            scene.now = until
            _ = scene.take()
        }
    }

    @Test func `a site with enough to do is read for only when it runs dry`() throws {
        var scene = scene { $0.sessionsPerSite = 1 }
        try prove("busy.example", &scene)
        for _ in 0..<150 { scene.arrive(scene.work(["a@busy.example"])) }
        scene.planner.due(domains: ["busy.example"], at: scene.now)
        scene.collect()
        func fetches(_ scene: inout Scene) -> Int {
            scene.actions.count { if case .fetch = $0 { true } else { false } }
        }
        #expect(fetches(&scene) == 0)
        for _ in 0..<60 {
            guard let (id, _) = scene.transactions().first else { break }
            scene.answer(id, [.accepted])
        }
        #expect(fetches(&scene) == 1)
    }

    @Test func `no more is asked for than there is room for`() throws {
        var scene = scene { $0.window = 2_000 }
        for number in 0..<20 { try prove("alive\(number).example", &scene) }
        scene.planner.due(domains: (0..<20).map { "alive\($0).example" }, at: scene.now)
        scene.collect()
        let asked = scene.take().reduce(0) { if case .fetch(_, let limit) = $1 { $0 + limit } else { $0 } }
        #expect(asked == 2_000)
    }

    @Test func `the oldest idle session gives way to a site that has none`() throws {
        var scene = scene { $0.sessions = 2 }
        try prove("one.example", &scene)
        scene.now = scene.now + .seconds(1)
        try prove("two.example", &scene)
        scene.arrive(scene.work(["a@three.example"]))
        scene.resolve()
        #expect(scene.actions.count { if case .close = $0 { true } else { false } } == 1)
        #expect(scene.openings().map(\.host) == ["mx.three.example"])
        #expect(scene.planner.sessions.values.contains { $0.plan.host == "mx.two.example" })
    }
}
