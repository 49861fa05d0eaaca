import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// What one host will not take another may, and what is known of a host is not learned twice.
@Suite("Planner and hosts")
struct PlannerHostTests {
    let rules: ReplyRules

    init() throws { rules = try ReplyRules([]) }

    static let two = Scene.hosts(["mx1.x.example": 10, "mx2.x.example": 20])
    static let plain = HostOffers(utf8: false, eightBit: false, size: nil)

    /// A scene in which one message waits on an open session with mx1.
    private func begun(
        eightBit: Bool = false, size: Int = 100,
        sender: ReversePath = .address(Address(localPart: "eve", domain: "y.example")),
        offers: HostOffers = plain,
        _ configure: (inout PlannerConfiguration) -> Void = { _ in }
    ) throws -> (scene: Scene, plan: SessionPlan) {
        var scene = Scene(rules: rules, configure: configure)
        scene.arrive(scene.work(["j\u{FC}rgen@x.example"], size: size, eightBit: eightBit, sender: sender))
        scene.resolve { _ in .hosts(Self.two) }
        let plan = try #require(scene.openings().first)
        #expect(plan.host == "mx1.x.example")
        scene.open(plan, offers: offers)
        return (scene, plan)
    }

    @Test(arguments: [PhaseAnswer.lacksUTF8, .tooLarge, .said(552, EnhancedStatus(5, 3, 4), "too large", at: .mail)])
    func `what a host does not offer is looked for at the next before it fails`(_ answer: PhaseAnswer) throws {
        var (scene, plan) = try begun()
        scene.answer(plan.id, [answer])
        #expect(scene.attempts().map(\.decision) == ["another host"])
        #expect(scene.settlements().first?.stillHandedOut == true)
        let next = try #require(scene.openings().first)
        #expect(next.host == "mx2.x.example")
        scene.open(next, offers: Self.plain)
        scene.answer(next.id, [answer])
        #expect(scene.attempts().map(\.decision) == ["failed"])
        #expect(scene.settlements().first?.ended.map(\.how) == [.failed])
        #expect(scene.planner.works == 0)
    }

    @Test func `the next host takes it, and the first goes on with what it can take`() throws {
        var (scene, plan) = try begun()
        scene.arrive(scene.work(["bob@x.example"]))
        scene.answer(plan.id, [.lacksUTF8])
        let plain = try #require(scene.transactions().last)
        #expect(plain.0 == plan.id && plain.1.recipients.map(\.localPart) == ["bob"])
        // The session that was being opened for bob is of no use to the other one.
        scene.open(try #require(scene.openings().first))
        let next = try #require(scene.openings().first)
        #expect(next.host == "mx2.x.example")
        scene.open(next)
        let (id, transaction) = try #require(scene.transactions().first)
        #expect(id == next.id && transaction.recipients.map(\.localPart) == ["j\u{FC}rgen"])
        scene.answer(id, [.accepted])
        #expect(scene.settlements().last?.ended.map(\.how) == [.delivered])
    }

    @Test func `a host that is known to lack it is not asked, for an hour`() throws {
        var (scene, plan) = try begun()
        scene.answer(plan.id, [.lacksUTF8])
        let next = try #require(scene.openings().first)
        scene.open(next, offers: Self.plain)
        scene.answer(next.id, [.lacksUTF8])
        _ = scene.take()
        scene.arrive(scene.work(["j\u{FC}rgen@x.example"]))
        let sent = try #require(scene.transactions().first)
        scene.answer(sent.0, [.lacksUTF8])
        #expect(scene.attempts().map(\.decision) == ["failed"], "both hosts are known")
        #expect(scene.openings().isEmpty)
        _ = scene.take()
        scene.wait(.minutes(61))
        scene.arrive(scene.work(["j\u{FC}rgen@x.example"]))
        scene.resolve { _ in .hosts(Self.two) }
        let again = try #require(scene.openings().first)
        scene.open(again, offers: Self.plain)
        scene.answer(again.id, [.lacksUTF8])
        #expect(scene.attempts().map(\.decision) == ["another host"], "it may have learned it since")
    }

    @Test func `a host that rests is waited for where no other will do`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["j\u{FC}rgen@x.example"]))
        scene.resolve { _ in .hosts(Self.two) }
        let dead = try #require(scene.openings().first)
        scene.fail(dead, .connect, .trouble(.connection, "connection refused"))
        let plan = try #require(scene.openings().first)
        #expect(plan.host == "mx2.x.example")
        scene.open(plan, offers: Self.plain)
        _ = scene.take()
        scene.answer(plan.id, [.lacksUTF8])
        #expect(scene.attempts().map(\.decision) == ["another host", "later"])
        #expect(scene.settlements().last?.remaining != nil, "mx1 may offer it when it is back")
    }

    @Test func `where the operator wants it so, or nobody could be told, 8-bit content goes as it is`() throws {
        try goesAsIs(try begun(eightBit: true) { $0.refusesEightBit = false })
        try goesAsIs(try begun(eightBit: true, sender: .null))
    }

    private func goesAsIs(_ begun: (scene: Scene, plan: SessionPlan)) throws {
        var (scene, plan) = begun
        #expect(scene.transactions().first?.1.eightBitAsIs == false)
        scene.answer(plan.id, [.lacks8BitMIME])
        let next = try #require(scene.openings().first)
        scene.open(next, offers: Self.plain)
        let (id, transaction) = try #require(scene.transactions().first)
        #expect(transaction.eightBitAsIs, "the last host there is")
        scene.answer(id, [.accepted])
        #expect(scene.settlements().last?.ended.map(\.how) == [.delivered])
    }

    @Test func `8-bit content fails where no host takes it by name`() throws {
        var (scene, plan) = try begun(eightBit: true)
        scene.answer(plan.id, [.lacks8BitMIME])
        let next = try #require(scene.openings().first)
        scene.open(next, offers: Self.plain)
        let (id, transaction) = try #require(scene.transactions().last)
        #expect(!transaction.eightBitAsIs)
        scene.answer(id, [.lacks8BitMIME])
        #expect(scene.settlements().last?.ended.map(\.how) == [.failed])
    }

    @Test(arguments: [
        PhaseAnswer.said(421, EnhancedStatus(4, 3, 2), "shutting down", at: .mail),
        .said(421, nil, "shutting down", at: .rcpt), .said(451, EnhancedStatus(4, 3, 2), "queue file", at: .dot),
        PhaseAnswer(phase: .rcpt, answer: .trouble(.connection, "the host closed the connection")),
        PhaseAnswer(phase: .data, answer: .trouble(.timeout, "no answer in time")),
    ])
    func `a host in trouble gives way to the next, and then to the schedule`(_ answer: PhaseAnswer) throws {
        var (scene, plan) = try begun()
        scene.answer(plan.id, [answer], reusable: false)
        #expect(scene.attempts().map(\.decision) == ["another host"])
        let next = try #require(scene.openings().first)
        #expect(next.host == "mx2.x.example")
        scene.open(next)
        scene.answer(next.id, [answer], reusable: false)
        let settlement = try #require(scene.settlements().last)
        #expect(settlement.remaining?.progress.due == scene.now + .minutes(5))
        #expect(settlement.remaining?.progress.pinned == nil)
        #expect(scene.attempts().map(\.decision) == ["later"])
    }

    @Test(arguments: [Answer.Trouble.connection, .timeout, .nonsense])
    func `doubt after the final dot goes to no other host`(_ trouble: Answer.Trouble) throws {
        var (scene, plan) = try begun()
        scene.answer(plan.id, [PhaseAnswer(phase: .dot, answer: .trouble(trouble, "gone"))], reusable: false)
        #expect(scene.attempts().map(\.decision) == ["later"])
        #expect(scene.openings().isEmpty)
        let left = try #require(scene.settlements().last?.remaining)
        #expect(left.progress.pinned == plan.source.name && left.recipients.count == 1)
    }

    @Test func `sessions that fail together are one failure`() throws {
        var scene = Scene(rules: rules)
        for _ in 0..<10 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let plans = scene.openings()
        #expect(plans.count == 2, "a site that has yet to show that it takes mail")
        for plan in plans { scene.fail(plan, .connect, .trouble(.timeout, "connection timed out")) }
        #expect(scene.postponed()["x.example"] == scene.now + .minutes(5))
    }

    @Test func `a dead host is set aside for every domain that has it, longer each time`() throws {
        let same = HostSet.Host(
            name: "mx.y.example", preference: 10, addresses: [Scene.address(of: "mx.x.example")], secure: false)
        var scene = Scene(rules: rules)
        for (round, minutes) in [5, 10, 20].enumerated() {
            scene.arrive(scene.work(["a@x.example"]))
            scene.resolve()
            let plan = try #require(scene.openings().first, "round \(round)")
            scene.fail(plan, .connect, .trouble(.timeout, "connection timed out"))
            #expect(scene.postponed()["x.example"] == scene.now + .minutes(Int64(minutes)))
            scene.arrive(scene.work(["a@y.example"]))
            scene.resolve { _ in .hosts(HostSet(hosts: [same], key: "10 mx.y.example")) }
            #expect(scene.openings().isEmpty, "its address is known to be dead")
            #expect(scene.postponed()["y.example"] == scene.now + .minutes(Int64(minutes)))
            _ = scene.take()
            scene.wait(.minutes(Int64(minutes)))
        }
    }

    @Test func `a host where TLS fails is asked for none for an hour, and never where it is demanded`() throws {
        let fixed = ["safe.example": IPMap.FixedSite(host: "mx.x.example", port: 25, tls: .required)]
        var scene = Scene(messagesPerSession: 1, sites: fixed, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        scene.fail(try #require(scene.openings().first), .starttls, .trouble(.tls, "handshake failed"))
        let clear = try #require(scene.openings().first)
        #expect(clear.tls == .none)
        scene.open(clear)
        scene.answer(clear.id, [.accepted])
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        #expect(scene.openings().map(\.tls) == [.none], "remembered")
        scene.arrive(scene.work(["a@safe.example"]))
        scene.resolve { _ in .hosts(Scene.hosts(["mx.x.example": 0])) }
        let safe = try #require(scene.openings().first)
        #expect(safe.tls == .required, "whatever is remembered")
        scene.fail(safe, .starttls, .trouble(.tls, "handshake failed"))
        #expect(scene.openings().isEmpty, "no second try in the clear")
        #expect(scene.settlements().last?.remaining != nil)
        scene.wait(.minutes(61))
        scene.arrive(scene.work(["b@x.example"]))
        scene.resolve()
        #expect(scene.openings().map(\.tls) == [.opportunistic], "tried again after an hour")
    }
}
