import DNS
import Mail
import Queue
import SMTP
import Testing

@testable import Delivery

/// The last step of a route, from entering it to each of its ends.
@Suite("Planner, relay")
struct PlannerRelayTests {
    private static let provider = IPMap.Relay.provider(limits: SiteLimits(sessions: 2))
    private static let steps: [IPMap.Step] = [.pool("main", budget: 1), .relay("provider", within: .hours(24))]

    private static func rules() throws -> ReplyRules {
        try ReplyRules(
            Cause.allCases.map { cause in
                var rule = ReplyRule(
                    id: cause.rawValue, cause: cause, source: "test", examples: ["550 about \(cause.rawValue)"])
                rule.patterns = ["about \(cause.rawValue)"]
                return rule
            })
    }

    private static func scene(_ steps: [IPMap.Step] = steps, sources: Int = 4) throws -> Scene {
        Scene(sources: sources, steps: steps, relays: [provider], rules: try rules())
    }

    private static func said(_ code: UInt16, _ cause: Cause, at phase: Phase = .rcpt) -> PhaseAnswer {
        .said(code, nil, "about \(cause.rawValue)", at: phase)
    }

    private static func resolve(_ scene: inout Scene) {
        scene.resolve { domain in .hosts(Scene.hosts([domain.hasPrefix("relay ") ? provider.host : "mx.\(domain)": 10]))
        }
    }

    /// The relay's session, opened; what the receiver said first.
    private static func atRelay(
        _ scene: inout Scene, _ answer: PhaseAnswer = said(550, .source)
    ) throws -> (SessionPlan, Transaction) {
        scene.arrive(scene.work(["a@x.example"], sender: .address(Address(localPart: "s", domain: "s.example"))))
        resolve(&scene)
        let direct = try #require(scene.openings().first)
        #expect(direct.login == nil)
        scene.open(direct)
        let (id, _) = try #require(scene.transactions().first)
        scene.answer(id, [answer], reusable: false)
        resolve(&scene)
        let plan = try #require(scene.openings().first)
        #expect(plan.host == "smtp.provider.example" && plan.port == 587 && plan.tls == .required)
        #expect(plan.login == provider.login && plan.source.isSystemsChoice)
        scene.open(plan)
        return (plan, try #require(scene.transactions().first).1)
    }

    @Test(arguments: [Cause.source, .range])
    func `is asked when the steps before are spent because of our address`(_ cause: Cause) throws {
        var scene = try Self.scene()
        let (plan, transaction) = try Self.atRelay(&scene, Self.said(550, cause))
        #expect(transaction.recipients.map(\.description) == ["a@x.example"])
        let told = scene.settlements().compactMap(\.remaining)
        let entered = try #require(told.last?.progress.relay)
        #expect(entered.cause == cause && entered.until == scene.now + .hours(24))
        scene.answer(plan.id, [.accepted])
        let end = try #require(scene.settlements().last)
        #expect(end.ended.map(\.how) == [.relayed] && end.remaining == nil)
        #expect(scene.attempts().map(\.decision).last == "relayed")
    }

    @Test(arguments: [Cause.content, .auth, .recipient, .domain, .greylist, .mailbox, .host, .tls, .unknown, .volume])
    func `is not asked for anything else`(_ cause: Cause) throws {
        for code: UInt16 in [450, 550] {
            var scene = try Self.scene()
            scene.arrive(scene.work(["a@x.example"]))
            Self.resolve(&scene)
            let direct = try #require(scene.openings().first)
            scene.open(direct)
            scene.answer(direct.id, [Self.said(code, cause)])
            Self.resolve(&scene)
            #expect(scene.settlements().allSatisfy { $0.remaining?.progress.relay == nil })
            #expect(scene.openings().allSatisfy { $0.login == nil })
        }
    }

    /// What waits comes back when it is due; its session, opened, where it gets one.
    private static func again(_ scene: inout Scene, _ work: Work) -> SessionPlan? {
        scene.wait(max(work.progress.due - scene.now, .seconds(0)))
        _ = scene.take()
        scene.planner.fetched(domain: work.domain, works: [work], more: false, at: scene.now)
        scene.collect()
        Self.resolve(&scene)
        let plan = scene.openings().first
        if let plan { scene.open(plan) }
        return plan
    }

    @Test(arguments: [(Cause.content, Phase.dot), (.auth, .dot), (.auth, .rcpt)], [Phase.banner, .mail])
    func `is not asked for what was found fault with until that is taken back`(
        _ fault: (Cause, Phase), _ early: Phase
    ) throws {
        var scene = try Self.scene()
        scene.arrive(scene.work(["a@x.example"]))
        Self.resolve(&scene)
        let first = try #require(scene.openings().first)
        scene.open(first)
        scene.answer(first.id, [Self.said(451, fault.0, at: fault.1)], reusable: false)
        var left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.faultedAt == fault.1)
        // Who refuses our address has not looked at it again, and the budget of its step is spent with that.
        for _ in 0..<3 {
            let plan = try #require(Self.again(&scene, left))
            #expect(plan.login == nil)
            scene.answer(plan.id, [Self.said(550, .source, at: early)], reusable: false)
            Self.resolve(&scene)
            #expect(scene.openings().isEmpty)
            left = try #require(scene.settlements().last?.remaining)
            #expect(left.progress.relay == nil && left.progress.due > scene.now)
        }
        let plan = try #require(Self.again(&scene, left))
        scene.answer(plan.id, [Self.said(550, .source, at: .dot)], reusable: false)
        left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.faultedAt == nil && left.progress.relay?.cause == .source)
    }

    @Test func `is not asked for what was found fault with where every source rests`() throws {
        var scene = try Self.scene(sources: 1)
        scene.arrive(scene.work(["a@x.example"]))
        Self.resolve(&scene)
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(plan.id, [Self.said(451, .content, at: .dot)])
        let left = try #require(scene.settlements().last?.remaining)
        scene.arrive(scene.work(["b@x.example"]))
        let (id, _) = try #require(scene.transactions().last)
        scene.answer(id, [Self.said(550, .source)], reusable: false)
        #expect(scene.settlements().last?.remaining?.progress.relay != nil)
        Self.resolve(&scene)
        _ = scene.openings()
        #expect(Self.again(&scene, left) == nil)
        #expect(scene.settlements().allSatisfy { $0.remaining?.progress.relay == nil })
        // When the source has rested it is what the message goes by.
        scene.wait(.hours(1))
        #expect(Self.again(&scene, left)?.source == plan.source)
    }

    @Test(
        arguments: [
            (.suspect, 5, true), (.suspect, 5.01, false), (.clean, -3, true), (.unscanned, nil, false),
            (nil, nil, true),
        ] as [(Screening.Verdict?, Double?, Bool)])
    func `is not asked for what the filter finds worse than its limit`(
        _ verdict: Screening.Verdict?, _ score: Double?, _ isAsked: Bool
    ) throws {
        var strict = Self.provider
        strict.scoreLimit = 5
        var scene = Scene(sources: 4, steps: Self.steps, relays: [strict], rules: try Self.rules())
        scene.arrive(scene.work(["a@x.example", "b@x.example"], verdict: verdict, score: score))
        Self.resolve(&scene)
        let direct = try #require(scene.openings().first)
        scene.open(direct)
        let (id, _) = try #require(scene.transactions().first)
        scene.answer(id, [Self.said(550, .source), Self.said(550, .range)], reusable: false)
        Self.resolve(&scene)
        #expect(scene.openings().contains { $0.login != nil } == isAsked)
        let left = try #require(scene.settlements().last?.remaining)
        #expect((left.progress.relay != nil) == isAsked && left.recipients.count == 2)
        let last = try #require(scene.attempts().last)
        #expect(last.decision == (isAsked ? "the relay" : "later"), "\(last)")
        #expect(left.progress.step == (isAsked ? 1 : 2) && (isAsked || left.progress.due > scene.now))
    }

    @Test func `is left out where its route comes to it without an answer`() throws {
        var strict = Self.provider
        strict.scoreLimit = 5
        var scene = Scene(sources: 4, steps: Self.steps, relays: [strict], rules: try Self.rules())
        var progress = Progress(due: scene.now, tried: ["s0"], step: 1)
        progress.rounds = 1
        scene.arrive(scene.work(["a@x.example"], progress: progress, verdict: .suspect, score: 9))
        Self.resolve(&scene)
        let direct = try #require(scene.openings().first)
        #expect(direct.login == nil)
        scene.open(direct)
        let (id, _) = try #require(scene.transactions().first)
        scene.answer(id, [.accepted])
        #expect(try #require(scene.settlements().last).ended.map(\.how) == [.delivered])
    }

    @Test func `is not asked for a recipient whose message another one found fault with`() throws {
        var scene = try Self.scene()
        scene.arrive(scene.work(["a@x.example", "b@x.example"]))
        Self.resolve(&scene)
        let direct = try #require(scene.openings().first)
        scene.open(direct)
        scene.answer(direct.id, [Self.said(450, .content), Self.said(550, .source)])
        Self.resolve(&scene)
        #expect(scene.openings().isEmpty)
        let left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.relay == nil && left.progress.due > scene.now)
    }

    @Test(arguments: [Cause.source, .range], [Cause.source, .range])
    func `is entered once, in however many words the recipients were refused`(_ one: Cause, _ other: Cause) throws {
        var scene = try Self.scene()
        scene.arrive(scene.work(["a@x.example", "b@x.example"]))
        Self.resolve(&scene)
        let direct = try #require(scene.openings().first)
        scene.open(direct)
        let second = PhaseAnswer.said(550, nil, "b@x.example: about \(other.rawValue)", at: .rcpt)
        scene.answer(direct.id, [Self.said(550, one), second], reusable: false)
        let entered = try #require(scene.settlements().last?.remaining)
        #expect(entered.progress.step == 1 && entered.progress.relay?.cause == one)
        #expect(scene.attempts().suffix(2).map(\.decision) == ["the relay", "the relay"])
        Self.resolve(&scene)
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        #expect(plan.host == Self.provider.host && scene.transactions().first?.1.recipients.count == 2)
    }

    @Test func `a step is not passed over because two recipients were refused in other words`() throws {
        var scene = try Self.scene(
            [.pool("main", budget: 1), .pool("main", budget: 2), .relay("provider", within: .hours(24))])
        scene.arrive(scene.work(["a@x.example", "b@x.example"]))
        Self.resolve(&scene)
        let direct = try #require(scene.openings().first)
        scene.open(direct)
        let second = PhaseAnswer.said(550, nil, "b@x.example: about range", at: .rcpt)
        scene.answer(direct.id, [Self.said(550, .source), second], reusable: false)
        let left = try #require(scene.settlements().first?.remaining)
        #expect(left.progress.step == 1 && left.progress.tried == [direct.source.name])
        #expect(scene.attempts().suffix(2).map(\.decision) == ["another source", "another source"])
    }

    @Test func `is asked where every source of the pool rests for the receiver, also for mail that comes later`() throws
    {
        var scene = try Self.scene(sources: 1)
        let (first, _) = try Self.atRelay(&scene)
        scene.answer(first.id, [.accepted])
        _ = scene.take()
        scene.arrive(scene.work(["b@x.example"]))
        Self.resolve(&scene)
        let sent = scene.transactions()
        #expect(sent.map(\.0) == [first.id])
        #expect(scene.openings().isEmpty)
    }

    @Test func `is not asked because an operator drained all sources`() throws {
        var scene = try Self.scene(sources: 1)
        var orders = StandingOrders()
        orders.holds[IPAddress(v4: 0x7F4D_0001)] = StandingOrders.Hold(
            kind: .draining, order: StandingOrders.Order(by: "root", reason: "test", since: scene.now, until: nil))
        scene.planner.steer(orders, at: scene.now)
        scene.arrive(scene.work(["b@x.example"]))
        Self.resolve(&scene)
        #expect(scene.openings().isEmpty && scene.transactions().isEmpty)
    }

    @Test func `that refuses the message for good ends it, with the receiver's words`() throws {
        var scene = try Self.scene()
        let (plan, _) = try Self.atRelay(&scene)
        _ = scene.settlements()
        scene.answer(plan.id, [.said(550, nil, "not from us either", at: .dot)])
        let ended = try #require(scene.settlements().last?.ended.first)
        #expect(ended.how == .failed)
        #expect(ended.quoted?.host == "mx.x.example" && ended.quoted?.cause == .source)
        #expect(ended.way?.sources == 1 && ended.way?.attempts == 1 && ended.way?.handed == 1)
        #expect(ended.way?.said?.contains("not from us either") == true)
    }

    @Test(arguments: [UInt16(530), 535, 538, 454, 451, 421])
    func `that does not take it yet is asked again, and its deadline stays`(_ code: UInt16) throws {
        var scene = try Self.scene()
        let (plan, _) = try Self.atRelay(&scene)
        let until = scene.now + .hours(24)
        _ = scene.settlements()
        scene.answer(plan.id, [.said(code, nil, "not now", at: .mail)])
        let left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.due > scene.now && left.progress.relay?.until == until)
        #expect(left.progress.relay?.attempts == 1)
        scene.wait(left.progress.due - scene.now)
        _ = scene.take()
        scene.planner.fetched(domain: "x.example", works: [left], more: false, at: scene.now)
        scene.collect()
        Self.resolve(&scene)
        if let again = scene.openings().first { scene.open(again) }
        #expect(scene.transactions().count == 1)
    }

    @Test(arguments: [
        (Phase.connect, Answer.trouble(.connection, "connection refused")), (.auth, .reply(Reply(535, nil, "no"))),
        (.starttls, .trouble(.tls, "CERTIFICATE_VERIFY_FAILED")), (.banner, .trouble(.timeout, "no answer in time")),
    ])
    func `that lets nobody in keeps all of it, and direct mail flows`(_ phase: Phase, _ answer: Answer) throws {
        var scene = try Self.scene()
        scene.arrive(scene.work(["a@x.example"]))
        Self.resolve(&scene)
        let direct = try #require(scene.openings().first)
        scene.open(direct)
        scene.answer(direct.id, [Self.said(550, .source)])
        Self.resolve(&scene)
        let plan = try #require(scene.openings().first)
        _ = scene.settlements()
        scene.fail(plan, phase, answer)
        let left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.due > scene.now && left.progress.due <= scene.now + .minutes(15))
        #expect(left.progress.relay?.name == "provider" && left.progress.relay?.attempts == 0)
        #expect(left.progress.firstRefusal?.cause == .source)
        let logged = scene.actions.contains { if case .log(let note) = $0 { note.level == .error } else { false } }
        #expect(logged)
        #expect(scene.postponed().isEmpty)
        scene.arrive(scene.work(["c@y.example"]))
        Self.resolve(&scene)
        #expect(scene.openings().map(\.host) == ["mx.y.example"])
    }

    @Test func `is tried for a day with a clock of our own, and never after it`() throws {
        var scene = try Self.scene()
        let (first, _) = try Self.atRelay(&scene)
        let until = scene.now + .hours(24)
        scene.answer(first.id, [.said(451, nil, "busy", at: .mail)])
        var work = try #require(scene.settlements().last?.remaining)
        var attempts = 1
        while work.progress.due < until {
            scene.wait(work.progress.due - scene.now)
            _ = scene.take()
            scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
            scene.collect()
            Self.resolve(&scene)
            if let plan = scene.openings().first { scene.open(plan) }
            guard let (id, _) = scene.transactions().first else { break }
            attempts += 1
            scene.answer(id, [.said(451, nil, "busy", at: .mail)])
            work = try #require(scene.settlements().last?.remaining)
        }
        #expect(attempts > 6 && work.progress.due == until)
        #expect(work.progress.relay?.attempts == attempts)
        scene.wait(until - scene.now)
        _ = scene.take()
        scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
        scene.collect()
        Self.resolve(&scene)
        if let plan = scene.openings().first { scene.open(plan) }
        // The queue's own watch ends it.
        #expect(scene.transactions().isEmpty)
        let ends = Expiration(key: work.key, at: until).ends(of: work.recipients, progress: work.progress)
        #expect(ends.map(\.how) == [.expired] && ends.first?.way?.handed == attempts)
        #expect(ends.first?.reason.contains("within 24 h") == true)
    }

    @Test func `that the map has lost is left: the route is chosen anew, tried sources stay`() throws {
        var scene = try Self.scene()
        var work = try #require(scene.work(["a@x.example"]).first)
        work.progress.route = "gone"
        work.progress.step = 1
        work.progress.tried = ["lab-1"]
        work.progress.pinned = "lab-99"
        work.progress.relay = Progress.AtRelay(
            name: "elsewhere", entered: scene.now, until: scene.now + .hours(1), cause: .source)
        scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
        scene.collect()
        Self.resolve(&scene)
        let plan = try #require(scene.openings().first)
        #expect(plan.host == "mx.x.example" && plan.source.name != "lab-1")
        let notes = scene.actions.compactMap { if case .log(let note) = $0 { note.text } else { nil } }
        #expect(notes.count == 2)
    }

    @Test func `of a customer's own route is asked for that customer alone`() throws {
        var scene = Scene(
            steps: [.pool("main", budget: 1)], relays: [Self.provider],
            routes: ["own": IPMap.Route(Self.steps, when: IPMap.Condition(customers: ["globex"]))],
            rules: try Self.rules())
        for customer in ["acme", "globex"] {
            scene.arrive(scene.work(["\(customer)@\(customer).example"], customer: customer))
            Self.resolve(&scene)
            let direct = try #require(scene.openings().first)
            scene.open(direct)
            scene.answer(direct.id, [Self.said(550, .source)])
            Self.resolve(&scene)
            #expect(scene.openings().count == (customer == "globex" ? 1 : 0))
        }
    }
}
