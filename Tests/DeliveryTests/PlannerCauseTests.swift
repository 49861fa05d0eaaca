import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// The table of causes, row by row: what a refusal means for the message, for the path that it came by, and for others.
@Suite("Planner, table of causes")
struct PlannerCauseTests {
    /// Reads `about size` as size, and so on.
    private static func rules() throws -> ReplyRules {
        try ReplyRules(
            Cause.allCases.map { cause in
                var rule = ReplyRule(
                    id: cause.rawValue, cause: cause, source: "test", examples: ["550 about \(cause.rawValue)"])
                rule.patterns = ["about \(cause.rawValue)"]
                return rule
            })
    }

    private static let hosts = Resolution.hosts(Scene.hosts(["mx1.x.example": 10, "mx2.x.example": 20]))

    /// A message whose first session is open, with two MX hosts.
    private static func begun(
        _ recipients: [String] = ["a@x.example"], sources: Int = 6, budget: Int = 4, steps: [IPMap.Step]? = nil,
        narrow: [Int] = []
    ) throws -> (scene: Scene, plan: SessionPlan) {
        var scene = Scene(sources: sources, budget: budget, steps: steps, nullPool: narrow, rules: try rules())
        scene.arrive(scene.work(recipients, sender: .address(Address(localPart: "s", domain: "s.example"))))
        scene.resolve { _ in hosts }
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        return (scene, plan)
    }

    private static func said(_ code: UInt16, _ cause: Cause, at phase: Phase = .rcpt) -> PhaseAnswer {
        .said(code, nil, "about \(cause.rawValue)", at: phase)
    }

    /// Hands the one work that was put off back when it is due, and opens the session for it.
    private static func retry(_ scene: inout Scene, _ settlement: Settlement) throws -> SessionPlan {
        let work = try #require(settlement.remaining)
        #expect(!settlement.stillHandedOut)
        #expect(work.progress.due > scene.now)
        scene.wait(work.progress.due - scene.now)
        _ = scene.take()
        scene.planner.fetched(domain: work.domain, works: [work], more: false, at: scene.now)
        scene.collect()
        scene.resolve { _ in hosts }
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        return plan
    }

    private static func cooling(_ scene: Scene) -> Int {
        scene.planner.figures(at: scene.now).coolingPaths.values.reduce(0, +)
    }

    // MARK: About us

    @Test(arguments: [UInt16(421), 451, 550, 554], [Phase.banner, .ehlo])
    func `source: refused before any message, another source comes at once`(code: UInt16, phase: Phase) throws {
        var scene = Scene(sources: 6, rules: try Self.rules())
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.fail(plan, phase, Self.said(code, .source).answer)
        let next = try #require(scene.openings().first)
        #expect(next.source != plan.source)
        let settlement = try #require(scene.settlements().first)
        #expect(settlement.ended.isEmpty)
        #expect(settlement.remaining?.progress.tried == [plan.source.name])
        #expect(Self.cooling(scene) == 1)
    }

    @Test(arguments: [UInt16(451), 550], [Phase.mail, .rcpt, .data, .dot])
    func `source: refused in a transaction, another source comes at once`(code: UInt16, phase: Phase) throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [Self.said(code, .source, at: phase)], reusable: false)
        let next = try #require(scene.openings().first)
        #expect(next.source != plan.source)
        #expect(scene.settlements().first?.remaining?.progress.tried == [plan.source.name])
        #expect(Self.cooling(scene) == 1)
    }

    @Test func `source: past its budget it takes the next step, and then one source in each round`() throws {
        let steps = [IPMap.Step(pool: "main", budget: 2), IPMap.Step(pool: "narrow", budget: 1)]
        var (scene, plan) = try Self.begun(steps: steps, narrow: [4, 5])
        var used: [String] = []
        for _ in 0..<3 {
            used.append(plan.source.name)
            scene.answer(plan.id, [Self.said(550, .source)], reusable: false)
            if let next = scene.openings().first {
                plan = next
                scene.open(plan)
            }
        }
        #expect(Set(used).count == 3)
        #expect(["lab-5", "lab-6"].contains(used[2]), "the last one is of the second step's pool")
        let last = try #require(scene.settlements().last)
        #expect(last.ended.isEmpty, "a refusal of our address is no bounce")
        #expect(last.remaining?.progress.due == scene.now + .minutes(5))
    }

    @Test func `range: no other address of the step, but the next step at once`() throws {
        let steps = [IPMap.Step(pool: "main", budget: 4), IPMap.Step(pool: "narrow", budget: 1)]
        var (scene, plan) = try Self.begun(steps: steps, narrow: [5])
        if plan.source.name == "lab-6" { return }
        scene.answer(plan.id, [Self.said(550, .range)], reusable: false)
        let next = try #require(scene.openings().first)
        #expect(next.source.name == "lab-6")
        #expect(scene.settlements().first?.remaining?.progress.step == 1)
    }

    @Test func `local: the source is set aside, another one is used, and nobody is ever told`() throws {
        var scene = Scene(sources: 3, rules: try Self.rules())
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        var seen: Set<String> = []
        while let plan = scene.openings().first {
            #expect(seen.insert(plan.source.name).inserted)
            scene.fail(plan, .connect, .trouble(.local, "cannot bind"))
        }
        #expect(seen.count == 3)
        #expect(scene.planner.figures(at: scene.now).unboundSources == 3)
        #expect(scene.settlements().allSatisfy { $0.ended.isEmpty && $0.unchanged }, "its rows are as they were")
        #expect(scene.postponed()["x.example"] == scene.now + .minutes(1), "and it is looked at again")
    }

    // MARK: About when, and how much

    @Test func `greylist: the same source comes again, later each time, and stays warm`() throws {
        var (scene, plan) = try Self.begun()
        let first = plan.source
        for minutes in [5, 10, 20] as [Int64] {
            scene.answer(plan.id, [Self.said(451, .greylist)], reusable: false)
            #expect(scene.openings().isEmpty)
            let settlement = try #require(scene.settlements().last)
            #expect(settlement.remaining?.progress.due == scene.now + .minutes(minutes))
            #expect(Self.cooling(scene) == 0)
            plan = try Self.retry(&scene, settlement)
            #expect(plan.source == first)
        }
        scene.answer(plan.id, [.accepted])
        #expect(scene.settlements().last?.ended.map(\.how) == [.delivered])
    }

    @Test(arguments: [UInt16(421), 451, 550])
    func `volume: later, and neither bounced nor from another source at once`(code: UInt16) throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [Self.said(code, .volume)], reusable: false)
        #expect(scene.openings().isEmpty)
        let settlement = try #require(scene.settlements().last)
        #expect(settlement.ended.isEmpty)
        #expect(settlement.remaining?.progress.tried == [])
        #expect(settlement.remaining?.progress.due == scene.now + .seconds(15), "as soon as its pace allows")
        #expect(settlement.remaining?.progress.rounds == 0, "no round of the schedule is used")
    }

    @Test func `volume: the pause grows with each complaint, and the time that a reply names counts`() throws {
        var (scene, plan) = try Self.begun()
        var waits: [Int64] = []
        for _ in 0..<4 {
            scene.answer(plan.id, [Self.said(451, .volume)], reusable: false)
            let settlement = try #require(scene.settlements().last)
            waits.append((try #require(settlement.remaining?.progress.due) - scene.now).milliseconds / 1_000)
            plan = try Self.retry(&scene, settlement)
        }
        #expect(waits == [15, 30, 60, 120])
        scene.answer(
            plan.id, [.said(451, nil, "about volume, try again in 2 hours", at: .rcpt)], reusable: false)
        #expect(scene.settlements().last?.remaining?.progress.due == scene.now + .hours(2))
    }

    // MARK: About the receiver

    @Test(arguments: [
        PhaseAnswer.said(421, nil, "about host", at: .mail), .said(451, nil, "about host", at: .rcpt),
        PhaseAnswer(phase: .rcpt, answer: .trouble(.timeout, "no answer")),
        PhaseAnswer(phase: .mail, answer: .trouble(.connection, "reset")),
    ])
    func `host: the next MX host at once, then the schedule`(answer: PhaseAnswer) throws {
        var (scene, plan) = try Self.begun()
        #expect(plan.host == "mx1.x.example")
        scene.answer(plan.id, [answer], reusable: false)
        let next = try #require(scene.openings().first)
        #expect(next.host == "mx2.x.example")
        scene.open(next)
        scene.answer(next.id, [answer], reusable: false)
        #expect(scene.openings().isEmpty)
        let settlement = try #require(scene.settlements().last)
        #expect(settlement.ended.isEmpty)
        #expect(settlement.remaining?.progress.tried == [])
        #expect(settlement.remaining?.progress.due == scene.now + .minutes(5))
    }

    @Test(arguments: [Cause.size, .protocol])
    func `size and protocol: other hosts first, then the sender is told`(cause: Cause) throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [Self.said(552, cause, at: .mail)], reusable: false)
        let next = try #require(scene.openings().first)
        #expect(next.host == "mx2.x.example")
        scene.open(next)
        scene.answer(next.id, [Self.said(552, cause, at: .mail)], reusable: false)
        #expect(scene.openings().isEmpty)
        #expect(scene.settlements().last?.ended.map(\.how) == [.failed])
    }

    @Test func `tls: a policy that is not met waits, and never goes in the clear`() throws {
        var scene = Scene(
            sites: ["x.example": IPMap.FixedSite(host: "mx.x.example", port: 25, tls: .required)],
            rules: try Self.rules())
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve { _ in .hosts(Scene.hosts(["mx.x.example": 10])) }
        for _ in 0..<5 {
            let plan = try #require(scene.openings().first)
            #expect(plan.tls == .required)
            scene.fail(plan, .starttls, .trouble(.tls, "certificate has expired"))
            #expect(scene.openings().isEmpty)
            let settlement = try #require(scene.settlements().last)
            let until = try #require(scene.postponed()["x.example"])
            #expect(settlement.ended.isEmpty)
            #expect(until > scene.now)
            _ = scene.take()
            scene.wait(until - scene.now)
            let work = try #require(settlement.remaining)
            scene.planner.fetched(domain: "x.example", works: [work], more: false, at: scene.now)
            scene.collect()
            scene.resolve { _ in .hosts(Scene.hosts(["mx.x.example": 10])) }
        }
    }

    @Test func `tls: a host that wants it before it hears us is no bounce`() throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [Self.said(530, .tls, at: .mail)], reusable: false)
        let settlement = try #require(scene.settlements().last)
        #expect(settlement.ended.isEmpty)
        #expect(settlement.remaining?.progress.due == scene.now + .minutes(5))
    }

    // MARK: About the recipient

    @Test func `mailbox: the schedule`() throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [Self.said(552, .mailbox)])
        let settlement = try #require(scene.settlements().last)
        #expect(settlement.ended.isEmpty)
        #expect(settlement.remaining?.progress.due == scene.now + .minutes(5))
        #expect(scene.openings().isEmpty)
    }

    @Test(arguments: [Cause.recipient, .domain])
    func `recipient and domain: told at once, and the others of the message are delivered`(cause: Cause) throws {
        var (scene, plan) = try Self.begun(["a@x.example", "b@x.example"])
        scene.answer(plan.id, [Self.said(550, cause), .accepted])
        #expect(scene.settlements().last?.ended.map(\.how) == [.failed, .delivered])
        #expect(scene.openings().isEmpty)
        #expect(Self.cooling(scene) == 0)
    }

    // MARK: About the message

    @Test(arguments: [Cause.content, .auth], [Phase.mail, .rcpt, .data, .dot])
    func `content and auth: told at once, never from another source`(cause: Cause, phase: Phase) throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [Self.said(550, cause, at: phase)])
        #expect(scene.settlements().last?.ended.map(\.how) == [.failed])
        #expect(scene.openings().isEmpty)
        #expect(Self.cooling(scene) == 0)
    }

    @Test(arguments: [Cause.content, .auth])
    func `content and auth for now: round after round from the same source`(cause: Cause) throws {
        var (scene, plan) = try Self.begun()
        let first = plan.source
        for _ in 0..<6 {
            scene.answer(plan.id, [Self.said(451, cause, at: .dot)], reusable: false)
            #expect(scene.openings().isEmpty)
            plan = try Self.retry(&scene, try #require(scene.settlements().last))
            #expect(plan.source == first)
        }
    }

    // MARK: In doubt

    @Test(arguments: [Answer.Trouble.connection, .timeout])
    func `uncertain: waits, the same source comes again, and history names a possible duplicate`(
        trouble: Answer.Trouble
    ) throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [PhaseAnswer(phase: .dot, answer: .trouble(trouble, "gone"))], reusable: false)
        #expect(scene.openings().isEmpty)
        let attempt = try #require(scene.attempts().first)
        #expect(attempt.cause == .uncertain)
        #expect(attempt.why.hasPrefix("possible duplicate"))
        let again = try Self.retry(&scene, try #require(scene.settlements().last))
        #expect(again.source == plan.source)
    }

    @Test func `uncertain: a refusal of its source waits until that rests no more, and leads to no relay`() throws {
        var (scene, plan) = try Self.begun(budget: 1)
        let first = plan.source
        for answer in [
            PhaseAnswer(phase: .dot, answer: .trouble(.connection, "gone")), Self.said(550, .source),
            Self.said(451, .host), Self.said(451, .volume), Self.said(450, .unknown), .accepted,
        ] {
            #expect(plan.source == first)
            scene.answer(plan.id, [answer], reusable: false)
            #expect(scene.openings().isEmpty, "\(answer)")
            guard let settlement = scene.settlements().last, let left = settlement.remaining else { continue }
            #expect(left.progress.doubted && left.progress.pinned == first.name && left.progress.relay == nil)
            var due = settlement
            if answer.said.contains("source") {
                // As long as it rests: it is asked for, and put off.
                due.remaining?.progress.due = scene.now + .minutes(31)
            }
            plan = try Self.retry(&scene, due)
        }
        #expect(scene.planner.works == 0)
    }

    @Test func `uncertain: recipients that it was not sent to yet get it from the same source`() throws {
        var (scene, plan) = try Self.begun((1...101).map { "u\($0)@x.example" })
        #expect(scene.transactions().first?.1.recipients.count == 100)
        let broken = PhaseAnswer(phase: .dot, answer: .trouble(.connection, "gone"))
        scene.answer(plan.id, Array(repeating: broken, count: 100), reusable: false)
        let next = try #require(scene.openings().first)
        #expect(next.source == plan.source)
        scene.open(next)
        #expect(scene.transactions().first?.1.recipients.count == 1)
        scene.answer(next.id, [broken], reusable: false)
        let left = try #require(scene.settlements().last?.remaining)
        #expect(left.recipients.count == 101 && left.progress.pinned == plan.source.name)
    }

    @Test func `uncertain: where its source is gone another one takes it`() throws {
        var (scene, plan) = try Self.begun()
        scene.answer(
            plan.id, [PhaseAnswer(phase: .dot, answer: .trouble(.connection, "gone"))], reusable: false)
        let settlement = try #require(scene.settlements().last)
        var orders = StandingOrders()
        orders.holds[plan.source.address] = StandingOrders.Hold(
            kind: .disabled, order: StandingOrders.Order(by: "root", reason: "gone", since: scene.now))
        scene.planner.steer(orders, at: scene.now)
        let again = try Self.retry(&scene, settlement)
        #expect(again.source != plan.source)
    }

    @Test func `unknown: a final no is told at once; of one for now the first retry keeps its source`() throws {
        var (scene, plan) = try Self.begun()
        scene.answer(plan.id, [.said(451, nil, "the moon is in the seventh house", at: .rcpt)], reusable: false)
        #expect(scene.openings().isEmpty)
        let first = try #require(scene.settlements().last)
        #expect(first.remaining?.progress.pinned == plan.source.name)
        let again = try Self.retry(&scene, first)
        #expect(again.source == plan.source)
        scene.answer(again.id, [.said(451, nil, "the moon is in the seventh house", at: .rcpt)], reusable: false)
        let second = try #require(scene.settlements().last)
        #expect(second.remaining?.progress.pinned == nil, "from then on any source may come")
        #expect(second.remaining?.progress.tried == [])
        let third = try Self.retry(&scene, second)
        scene.answer(third.id, [.said(550, nil, "the moon is in the seventh house", at: .rcpt)], reusable: false)
        #expect(scene.settlements().last?.ended.map(\.how) == [.failed])
    }
}
