import DNS
import Mail
import Queue
import Testing

@testable import Delivery

@Suite("Planner memory of ways")
struct PlannerMemoryTests {
    let rules: ReplyRules
    static let grey = PhaseAnswer.said(451, EnhancedStatus(4, 7, 1), "greylisted", at: .rcpt)
    static let listed = PhaseAnswer.said(550, EnhancedStatus(5, 7, 1), "blocked using dnsbl.example", at: .rcpt)
    static let tooMuch = PhaseAnswer.said(452, EnhancedStatus(4, 7, 0), "slow down, please", at: .mail)
    static let tooMuchFrom = PhaseAnswer.said(452, EnhancedStatus(4, 7, 0), "your address is too fast", at: .mail)

    init() throws {
        func rule(_ id: String, _ cause: Cause, _ pattern: String, _ example: String) -> ReplyRule {
            var rule = ReplyRule(id: id, cause: cause, source: "test", examples: [example])
            rule.patterns = [pattern]
            return rule
        }
        var fast = rule("fast", .volume, "your address is too fast", "452 4.7.0 your address is too fast")
        fast.isPerSource = true
        rules = try ReplyRules([
            rule("grey", .greylist, "greylisted", "451 4.7.1 greylisted"),
            rule("listed", .source, "blocked using", "550 5.7.1 blocked using dnsbl.example"),
            rule("slow", .volume, "slow down", "452 4.7.0 slow down, please"), fast,
        ])
    }

    private func arrive(
        _ scene: inout Scene, _ recipient: String = "a@x.example", sender: String = "news"
    ) -> [SessionPlan] {
        scene.arrive(
            scene.work([recipient], sender: .address(Address(localPart: sender, domain: "shop.example"))))
        scene.resolve()
        return scene.openings()
    }

    /// The rows that were to be kept since, the last one of each.
    private func rows(_ scene: Scene) -> [PathRow] {
        var found: [String: PathRow] = [:]
        for case .remember(let rows) in scene.actions {
            for row in rows { found["\(row.kind) \(row.site) \(row.key)"] = row }
        }
        return found.values.filter { $0.value != nil }
    }

    /// Why pins were released.
    private func released(_ scene: Scene) -> [String] {
        scene.actions.compactMap { action in
            guard case .log(let note) = action, note.text == "greylist pin released" else { return nil }
            return note.facts["why"]
        }
    }

    // MARK: Greylisting

    @Test func `a triple keeps its source over messages and restarts, and another triple does not`() throws {
        for seed in UInt64(1)...5 {
            var scene = Scene(sources: 60, seed: seed, rules: rules)
            let first = try #require(arrive(&scene).first)
            scene.open(first)
            scene.answer(first.id, [Self.grey], reusable: false)
            scene.wait(.minutes(1))
            #expect(arrive(&scene).map(\.source) == [first.source], "the next message of the same triple")
            let kept = rows(scene)
            #expect(kept.contains { $0.kind == .pin })
            var again = Scene(sources: 60, seed: seed &+ 99, rules: rules)
            again.now = scene.now
            again.planner.remembered(kept, at: again.now)
            #expect(arrive(&again).map(\.source) == [first.source], "after a restart")
            var others: Set<String> = []
            for number in 0..<8 {
                for plan in arrive(&again, "b\(number)@x.example") {
                    others.insert(plan.source.name)
                    again.open(plan)
                    again.answer(plan.id, [.accepted], reusable: false)
                }
            }
            #expect(others.count > 1)
        }
    }

    @Test func `a pin is released with a word when its source cools, is disabled or is gone`() throws {
        var scene = Scene(sources: 9, rules: rules)
        func greyed(_ scene: inout Scene, _ recipient: String) throws -> SessionPlan {
            let plan = try #require(arrive(&scene, recipient).first)
            scene.open(plan)
            scene.answer(plan.id, [Self.grey], reusable: false)
            scene.wait(.seconds(1))
            return plan
        }
        let cooled = try greyed(&scene, "a@x.example")
        let again = try #require(arrive(&scene, "a@x.example").first)
        scene.open(again)
        scene.answer(again.id, [Self.listed], reusable: false)
        #expect(scene.openings().first?.source != cooled.source, "the message itself goes on from another one")
        #expect(!arrive(&scene, "a@x.example").map(\.source).contains(cooled.source))
        #expect(released(scene).contains { $0.contains("rests") })

        scene = Scene(sources: 9, rules: rules)
        let disabled = try greyed(&scene, "b@x.example")
        var orders = StandingOrders()
        orders.holds[disabled.source.address] = StandingOrders.Hold(
            kind: .disabled, order: StandingOrders.Order(by: "test", reason: "test", since: scene.now))
        scene.planner.steer(orders, at: scene.now)
        scene.collect()
        #expect(!arrive(&scene, "b@x.example").map(\.source).contains(disabled.source))
        #expect(released(scene).contains { $0.contains("disabled") })
    }

    @Test func `there are no more pins than may be, the oldest goes first, and they expire`() {
        var line = PinLine()
        let receiver = Receiver(name: "x")
        let now = Timestamp(milliseconds: 1)
        for number in 0..<UInt64(PinLine.limit + 500) {
            _ = line.set(Pin(source: IPAddress(v4: 1), expires: now), for: Triple(value: number), at: receiver)
        }
        #expect(line.count == PinLine.limit && receiver.pins.count == PinLine.limit)
        #expect(receiver.pins[Triple(value: 499)] == nil && receiver.pins[Triple(value: 500)] != nil)
    }

    // MARK: Rates

    @Test func `a complaint halves rate and sessions, pauses, and time takes it back step by step`() throws {
        var scene = Scene(sources: 50, messagesPerSession: 1, rules: rules)
        for _ in 0..<40 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        var open = 0
        // Two at first, until it has shown that it takes mail.
        var plans = scene.openings()
        while !plans.isEmpty {
            open += plans.count
            for plan in plans { scene.open(plan) }
            plans = scene.openings()
        }
        #expect(open == 20)
        for (id, _) in scene.transactions().prefix(3) { scene.answer(id, [Self.tooMuch], reusable: false) }
        let receiver = try #require(scene.planner.receivers["mx.x.example"])
        let pace = try #require(receiver.pace)
        #expect(pace.sessions == 10 && pace.complaints == 1, "those that come together count once")
        #expect(pace.until == scene.now + .seconds(15) && pace.rule == "slow")
        let rate = pace.rate
        #expect(scene.openings().isEmpty, "nothing begins")
        scene.wait(.minutes(3))
        let raised = try #require(receiver.pace)
        scene.wait(.minutes(6))
        let more = receiver.pace
        #expect(raised.rate >= rate && (more == nil || (more?.rate ?? 0) > rate))
        for _ in 0..<30 { scene.wait(.minutes(5)) }
        #expect(receiver.pace == nil, "forgotten when half as much more is allowed")
    }

    @Test func `a rate that was learned is kept to, and outlives a restart`() throws {
        var scene = Scene(sources: 50, messagesPerSession: 1, rules: rules)
        var pace = Pace(rate: 60, sessions: 8, rule: "slow", reply: "slow down", at: scene.now)
        pace.lower(observed: (12, 8), hold: nil, at: scene.now)
        #expect(pace.rate == 6 && pace.sessions == 4)
        let row = PathRow(
            kind: .pace, site: "mx.x.example", key: "", value: PathFields.line(pace.fields),
            expires: scene.now + .days(1))
        scene.planner.remembered([row], at: scene.now)
        #expect(scene.planner.receivers["mx.x.example"]?.pace?.rate == 6)
        scene.wait(.seconds(20))
        var begun = 0
        for _ in 0..<60 {
            scene.arrive(scene.work(["a@x.example"]))
            scene.resolve()
            for plan in scene.openings() { scene.open(plan) }
            for (id, _) in scene.transactions() {
                begun += 1
                scene.answer(id, [.accepted], reusable: false)
            }
            scene.wait(.seconds(1))
        }
        #expect((5...9).contains(begun), "some six in a minute, \(begun)")
    }

    @Test func `a limit of the address slows that path alone`() throws {
        var scene = Scene(sources: 2, messagesPerSession: 1, rules: rules)
        let plan = try #require(arrive(&scene).first)
        scene.open(plan)
        scene.answer(plan.id, [Self.tooMuchFrom], reusable: false)
        let receiver = try #require(scene.planner.receivers["mx.x.example"])
        #expect(receiver.pace == nil && receiver.paths[plan.source.address]?.pace != nil)
        for number in 0..<6 {
            #expect(!arrive(&scene, "b\(number)@x.example").map(\.source).contains(plan.source))
        }
    }

    // MARK: Restarts

    @Test func `refusals and the breaker outlive a restart, and what is over does not`() throws {
        var scene = Scene(sources: 20, rules: rules) { $0.rangeBreaker = 3 }
        var plans = arrive(&scene)
        for _ in 0..<3 {
            let plan = try #require(plans.first)
            scene.open(plan)
            scene.answer(plan.id, [Self.listed])
            plans = scene.openings()
        }
        let kept = rows(scene)
        #expect(kept.count { $0.kind == .path } == 3 && kept.count { $0.kind == .range } == 1)
        var again = Scene(sources: 20, rules: rules) { $0.rangeBreaker = 3 }
        again.planner.remembered(kept, at: again.now)
        let old = try #require(scene.planner.receivers["mx.x.example"])
        let new = try #require(again.planner.receivers["mx.x.example"])
        #expect(new.paths.mapValues(\.cooldown) == old.paths.mapValues(\.cooldown))
        #expect(new.ranges["lab"]?.cooldown == old.ranges["lab"]?.cooldown && new.ranges["lab"]?.isOpen == true)
        var late = Scene(sources: 20, rules: rules)
        late.planner.remembered(kept, at: late.now + .days(30))
        #expect(late.planner.receivers.isEmpty)
    }

    @Test func `rows that make no sense are passed over`() {
        var scene = Scene(sources: 1, rules: rules)
        let values = [
            "", "cooldown", "cooldown\t-1\t0\t0\tsource\t\t", "cooldown\t1\t9999999999999999999\t0\tsource\tr\tt",
            "pace\tnan\t1\t0\t0\t0\t1\t1\t0\tr\tt", "pace\t1\t0\t0\t0\t0\t1\t1\t0\tr\tt", "refused\tx\twarm", "\u{0}",
        ]
        for kind in PathRow.Kind.allCases {
            for value in values {
                for key in ["127.77.0.1", "lab", "18446744073709551616", "1", "127.0.0.1 99999", "127.0.0.1 25"] {
                    scene.planner.remembered(
                        [PathRow(kind: kind, site: "x", key: key, value: value, expires: .distantFuture)],
                        at: scene.now)
                }
            }
        }
        #expect(scene.planner.receivers.isEmpty)
    }

    @Test func `a delivered message on a way of which nothing is known has nothing remembered`() throws {
        var scene = Scene(sources: 1, rules: rules)
        let plan = try #require(arrive(&scene).first)
        scene.open(plan)
        _ = scene.take()
        scene.answer(plan.id, [.accepted])
        #expect(rows(scene).isEmpty && scene.planner.receivers["mx.x.example"]?.isBlank == true)
    }

    @Test func `a host that does not answer rests over a restart as well`() throws {
        var scene = Scene(sources: 1, rules: rules)
        let plan = try #require(arrive(&scene).first)
        scene.fail(plan, .connect, .trouble(.timeout, "timed out"))
        let kept = rows(scene)
        #expect(kept.map(\.kind) == [.host])
        var again = Scene(sources: 1, rules: rules)
        again.planner.remembered(kept, at: again.now)
        #expect(arrive(&again).isEmpty)
    }
}
