import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// What operators say while the relay runs: sources taken out of use, receivers kept from mail.
@Suite("Operators' orders")
struct PlannerOrdersTests {
    let rules: ReplyRules

    init() throws { rules = try ReplyRules([]) }

    private func order(_ scene: Scene, _ reason: String, until: Timestamp? = nil) -> StandingOrders.Order {
        StandingOrders.Order(by: "root (uid 0)", reason: reason, since: scene.now, until: until)
    }

    private func hold(
        _ scene: inout Scene, _ numbers: [Int], _ kind: StandingOrders.Hold.Kind = .draining, until: Timestamp? = nil
    ) {
        var orders = scene.planner.orders
        for number in numbers {
            let address = IPAddress(v4: 0x7F4D_0000 + UInt32(number))
            orders.holds[address] = StandingOrders.Hold(kind: kind, order: order(scene, "ticket 1", until: until))
        }
        scene.planner.steer(orders, at: scene.now)
        scene.collect()
    }

    private func enable(_ scene: inout Scene) {
        scene.planner.steer(StandingOrders(), at: scene.now)
        scene.collect()
    }

    private func suspend(_ scene: inout Scene, _ name: String, until: Timestamp? = nil) {
        var orders = scene.planner.orders
        orders.suspensions[name] = order(scene, "they asked", until: until)
        scene.planner.steer(orders, at: scene.now)
        scene.collect()
    }

    // MARK: Sources

    @Test func `nothing begins from a drained source, and after its time it is drawn again`() throws {
        var scene = Scene(sources: 4, messagesPerSession: 1, rules: rules)
        hold(&scene, [1, 2, 3], until: scene.now + .minutes(10))
        for _ in 0..<12 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        var used: Set<String> = []
        func serveAll() {
            var plans = scene.openings()
            while !plans.isEmpty {
                used.formUnion(plans.map(\.source.name))
                for plan in plans { scene.open(plan) }
                for (id, _) in scene.transactions() { scene.answer(id, [.accepted]) }
                plans = scene.openings()
            }
        }
        serveAll()
        #expect(used == ["lab-4"])
        scene.wait(.minutes(10))
        for _ in 0..<60 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        serveAll()
        #expect(used == ["lab-1", "lab-2", "lab-3", "lab-4"])
        #expect(scene.planner.held.isEmpty && scene.planner.orders.isEmpty)
    }

    @Test func `a drained source finishes its message, and its idle sessions close`() throws {
        var scene = Scene(sources: 1, rules: rules)
        for _ in 0..<3 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let plans = scene.openings()
        for plan in plans { scene.open(plan) }
        let sent = scene.transactions()
        #expect(sent.count == 2, "new mail for an unknown site gets two sessions")
        scene.answer(sent[0].0, [.accepted])
        let third = try #require(scene.transactions().first)
        hold(&scene, [1])
        #expect([third.0, sent[1].0].allSatisfy(scene.planner.knows), "both have a message on the wire")
        scene.answer(third.0, [.accepted])
        scene.answer(sent[1].0, [.accepted])
        for plan in scene.openings() { scene.open(plan) }
        #expect(scene.planner.sessions.isEmpty)
        #expect(scene.planner.tallies[0] == SourceTally(sessions: 0, delivered: 3, refused: 0, blamed: 0))
    }

    @Test func `a session being opened carries its message where the source is drained, and none where disabled`()
        throws
    {
        for kind in StandingOrders.Hold.Kind.allCases {
            var scene = Scene(sources: 1, rules: rules)
            for _ in 0..<3 { scene.arrive(scene.work(["a@x.example"])) }
            scene.resolve()
            let plan = try #require(scene.openings().first)
            hold(&scene, [1], kind)
            #expect(scene.planner.knows(plan.id) == (kind == .draining))
            scene.open(plan)
            let sent = scene.transactions()
            #expect(sent.count == (kind == .draining ? 1 : 0))
            for (id, _) in sent { scene.answer(id, [.accepted]) }
            #expect(scene.transactions().isEmpty, "and no second one")
            #expect(!scene.planner.knows(plan.id))
        }
    }

    @Test func `with a whole pool off mail waits with the reason, nothing storms, and enabling lets it go`() throws {
        var scene = Scene(sources: 4, rules: rules)
        for _ in 0..<50 { scene.arrive(scene.work(["a@x.example"])) }
        hold(&scene, [1, 2, 3, 4])
        scene.resolve()
        #expect(scene.openings().isEmpty)
        let told = scene.attempts()
        #expect(told.count == 20, "the first of them are told, not all")
        let first = try #require(told.first)
        #expect(first.decision == "later" && first.cause == .local)
        #expect(first.trouble == "every source of pool main is out of use: draining, by root (uid 0): ticket 1")
        #expect(scene.settlements().count == 50)
        #expect(scene.postponed() == ["x.example": scene.now + .seconds(15)])
        #expect(scene.planner.works == 0)
        _ = scene.take()

        // Until then: named again, and put off again without a look into the store.
        scene.now = scene.now + .seconds(15)
        scene.planner.due(domains: ["x.example", "y.example"], at: scene.now)
        scene.collect()
        #expect(scene.postponed().count == 2)
        #expect(!scene.actions.contains { if case .fetch = $0 { true } else { false } })
        #expect(scene.planner.hindrance(of: "y.example", at: scene.now)?.isOperators == true)
        #expect(scene.arrive(scene.work(["a@x.example"])).count == 1)
        _ = scene.take()

        enable(&scene)
        #expect(scene.postponed() == ["x.example": scene.now, "y.example": scene.now], "named at once")
        #expect(scene.planner.hindrance(of: "x.example", at: scene.now) == nil)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        #expect(!scene.openings().isEmpty)
    }

    @Test func `where a route has another pool its mail goes there, and tried sources still count`() throws {
        var scene = Scene(sources: 3, rules: rules)
        let sources = scene.planner.table.sources
        let map = IPMap(
            pools: [
                "main": IPMap.Pool(name: "main", sources: Array(sources.prefix(2))),
                "other": IPMap.Pool(name: "other", sources: Array(sources.suffix(1))),
            ],
            routes: ["default": [IPMap.Step(pool: "main", budget: 2), IPMap.Step(pool: "other", budget: 1)]],
            sites: [:])
        scene.planner.replace(
            PlannerReplacement(configuration: scene.planner.configuration, map: map, rules: rules), at: scene.now)
        hold(&scene, [1, 2])
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        #expect(plan.source.name == "lab-3")
        scene.fail(plan, .banner, .reply(Reply(554, nil, "your address is blocked")))
        // The last step is spent: back to the schedule, though the first pool was never tried.
        #expect(scene.openings().isEmpty)
        #expect(scene.settlements().last?.remaining?.progress.step == 2)
    }

    @Test func `a message that keeps to a source goes from another when that is taken out of use`() throws {
        var scene = Scene(sources: 2, rules: rules)
        hold(&scene, [1], .disabled)
        var progress = Progress(due: scene.now)
        progress.pinned = "lab-1"
        scene.arrive(scene.work(["a@x.example"], progress: progress))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        #expect(plan.source.name == "lab-2")
        scene.open(plan)
        #expect(scene.transactions().count == 1)
    }

    @Test func `steering is cheap in memory for a whole range, and forgotten when it is over`() {
        var scene = Scene(sources: 1_000, rules: rules)
        hold(&scene, Array(1...1_000), until: scene.now + .seconds(3))
        #expect(scene.planner.table.isOff && scene.planner.held.count == 1_000)
        scene.wait(.seconds(3))
        #expect(!scene.planner.table.isOff && scene.planner.held.isEmpty)
    }

    // MARK: Sites

    @Test func `a suspended site gets nothing, its mail waits and goes when it is resumed`() throws {
        var scene = Scene(rules: rules)
        for _ in 0..<5 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let plans = scene.openings()
        scene.open(plans[0])
        let sent = try #require(scene.transactions().first)
        _ = scene.openings()
        suspend(&scene, "mx.x.example")
        #expect(scene.attempts().first?.trouble == "mx.x.example is suspended by root (uid 0): they asked")
        #expect(!scene.planner.knows(plans[1].id), "one that is being opened is given up")
        scene.answer(sent.0, [.accepted])
        #expect(scene.planner.sessions.isEmpty && scene.planner.works == 0)
        #expect(scene.transactions().isEmpty && scene.openings().isEmpty)
        #expect(scene.arrive(scene.work(["b@x.example"])).count == 1, "new mail stays in the store")
        let found = scene.planner.hindrance(of: "x.example", at: scene.now)
        let block = try #require(found)
        #expect(block.isSuspended && block.until == nil)
        _ = scene.take()
        enable(&scene)
        #expect(scene.postponed() == ["x.example": scene.now])
        scene.arrive(scene.work(["b@x.example"]))
        #expect(!scene.openings().isEmpty)
    }

    @Test func `a suspended domain keeps back its own mail alone`() throws {
        var scene = Scene(rules: rules)
        for name in ["x.example", "y.example"] { scene.arrive(scene.work(["a@\(name)"])) }
        scene.resolve { _ in .hosts(Scene.hosts(["mx.both.example": 10])) }
        #expect(scene.openings().count == 2)
        suspend(&scene, "x.example")
        #expect(scene.planner.works == 1)
        #expect(scene.arrive(scene.work(["a@x.example"])).count == 1)
        #expect(scene.arrive(scene.work(["a@y.example"])).isEmpty)
    }

    @Test func `a rule's name suspends all of its receivers, also those that come later, until it is over`() throws {
        let limits = [SiteRule(name: "big", hosts: ["big.example"], limits: SiteLimits(sessions: 3))]
        var scene = Scene(limits: limits, rules: rules)
        suspend(&scene, "big", until: scene.now + .hours(1))
        scene.arrive(scene.work(["a@one.example"]))
        scene.resolve { .hosts(Scene.hosts(["\($0.prefix { $0 != "." }).mail.big.example": 10])) }
        #expect(scene.openings().isEmpty && scene.planner.works == 0)
        #expect(scene.postponed() == ["one.example": scene.now + .seconds(15)])
        _ = scene.take()
        scene.wait(.hours(1))
        #expect(scene.postponed() == ["one.example": scene.now])
        scene.arrive(scene.work(["a@one.example"]))
        scene.resolve { .hosts(Scene.hosts(["\($0.prefix { $0 != "." }).mail.big.example": 10])) }
        #expect(!scene.openings().isEmpty)
    }

    @Test func `what would go on at once waits where the site was suspended meanwhile`() throws {
        var scene = Scene(sources: 3, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        let sent = try #require(scene.transactions().first)
        suspend(&scene, "mx.x.example")
        scene.answer(
            sent.0, [.said(550, EnhancedStatus(5, 7, 25), "no PTR", at: .rcpt)], reusable: false)
        #expect(scene.openings().isEmpty && scene.planner.works == 0)
    }

    @Test func `what was kept back before a restart is looked at when it may go`() throws {
        for isSource in [true, false] {
            var scene = Scene(sources: 2, rules: rules)
            if isSource { hold(&scene, [1, 2]) } else { suspend(&scene, "x.example") }
            scene.planner.due(domains: ["x.example"], at: scene.now)
            scene.collect()
            #expect(scene.postponed() == ["x.example": scene.now + .seconds(15)])
            let rows = scene.take().flatMap { action in
                if case .remember(let rows) = action { rows } else { [PathRow]() }
            }
            #expect(rows.map(\.kind) == [.keptBack])
            var again = Scene(sources: 2, rules: rules)
            again.planner.remembered(rows, at: again.now)
            again.planner.steer(scene.planner.orders, at: again.now)
            again.collect()
            #expect(again.postponed().isEmpty)
            enable(&again)
            #expect(again.postponed() == ["x.example": again.now])
            let forgotten = again.take().flatMap { action in
                if case .remember(let rows) = action { rows } else { [PathRow]() }
            }
            #expect(forgotten.map(\.value) == [nil])
        }
    }
}
