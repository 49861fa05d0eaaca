import DNS
import Mail
import Queue
import RelayTesting
import Testing

@testable import Delivery

/// What the planner says of the way that a message takes.
struct PlannerExplainTests {
    let rules: ReplyRules
    let hosts = Scene.hosts(["mx.x.example": 10])

    init() throws { rules = try ReplyRules([]) }

    private func explain(
        _ scene: inout Scene, _ work: Work? = nil, sender: ReversePath = .address(Address("a@shop.example"))
    ) -> RouteExplanation {
        scene.planner.explain(
            RouteQuestion(
                customer: "acme", sender: sender, domain: "x.example",
                underway: work.map { ($0.message.id, $0.progress) }), hosts, at: scene.now)
    }

    private func obstacles(_ found: RouteExplanation) -> [String: RouteExplanation.Obstacle] {
        Dictionary(
            found.sources.compactMap { verdict in verdict.obstacle.map { (verdict.source.name, $0) } },
            uniquingKeysWith: { first, _ in first })
    }

    @Test func `mail that has yet to come gets the route that is for it`() {
        var scene = Scene(nullPool: [0], rules: rules)
        #expect(explain(&scene).route == "default")
        let notice = explain(&scene, sender: .null)
        #expect(notice.route == "notices" && notice.when.nullSender && notice.pool == "narrow")
        #expect(notice.sources.count == 1 && notice.first == 0)
    }

    @Test func `sources that refused the message, and those that it keeps from, are told apart`() throws {
        var scene = Scene(rules: rules)
        var work = try #require(scene.work(["a@x.example"]).first)
        work.progress.tried = ["lab-2", "lab-3"]
        #expect(obstacles(explain(&scene, work)) == ["lab-2": .tried, "lab-3": .tried])
        work.progress.pinned = "lab-4"
        let pinned = obstacles(explain(&scene, work))
        #expect(pinned == ["lab-1": .notPinned("lab-4"), "lab-2": .notPinned("lab-4"), "lab-3": .notPinned("lab-4")])
        // One that an operator took out of use is waited for by nobody.
        var orders = StandingOrders()
        orders.holds[IPAddress(v4: 0x7F4D_0004)] = StandingOrders.Hold(
            kind: .disabled, order: StandingOrders.Order(by: "me", reason: "router", since: scene.now))
        scene.planner.steer(orders, at: scene.now)
        let held = obstacles(explain(&scene, work))
        #expect(held["lab-1"] == nil && held["lab-2"] == .tried)
        guard case .held? = held["lab-4"] else {
            Issue.record("the held source is told as such")
            return
        }
    }

    @Test func `steps that are spent are told as spent, and a route that is gone is not named`() throws {
        var scene = Scene(rules: rules)
        var work = try #require(scene.work(["a@x.example"]).first)
        work.progress.step = 1
        work.progress.route = "gone"
        let found = explain(&scene, work)
        #expect(found.route == "default" && found.first == found.steps.count && found.pool == "main")
    }

    @Test func `a message is seen while it waits for a session and while it is on the wire`() throws {
        var scene = Scene(messagesPerSession: 1, rules: rules)
        let works = scene.work(["a@x.example"], sender: .address(Address("a@shop.example")))
        let work = try #require(works.first)
        scene.arrive(works)
        #expect(explain(&scene, work).isInMemory, "while its hosts are looked for")
        scene.resolve { _ in .hosts(Scene.hosts(["mx.x.example": 10])) }
        let waiting = explain(&scene, work)
        #expect(waiting.isInMemory && waiting.onWire == nil && waiting.site.opening == 1)
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        let sent = explain(&scene, work)
        #expect(sent.onWire?.source == plan.source && sent.onWire?.host == "mx.x.example" && !sent.isInMemory)
        for (id, _) in scene.transactions() { scene.answer(id, [.accepted]) }
        let after = explain(&scene, work)
        #expect(after.onWire == nil && !after.isInMemory)
    }
}
