import DNS
import Mail
import Queue
import Testing

@testable import Delivery

@Suite("Planner")
struct PlannerTests {
    let rules: ReplyRules

    init() throws {
        var listed = ReplyRule(
            id: "listed", cause: .source, source: "test", examples: ["550 5.7.1 blocked using dnsbl.example"])
        listed.patterns = ["blocked using"]
        var unknown = ReplyRule(
            id: "user-unknown", cause: .recipient, source: "test", examples: ["550 5.1.1 user unknown"])
        unknown.patterns = ["user unknown"]
        var grey = ReplyRule(
            id: "greylisted", cause: .greylist, source: "test", examples: ["451 4.7.1 greylisted, try again"])
        grey.patterns = ["greylisted"]
        rules = try ReplyRules([listed, unknown, grey])
    }

    static let listed = PhaseAnswer.said(550, EnhancedStatus(5, 7, 1), "blocked using dnsbl.example", at: .rcpt)

    @Test func `a fresh message is resolved, sent from one source and settled as delivered`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        #expect(plan.host == "mx.x.example")
        #expect(plan.port == 25)
        scene.open(plan)
        let (id, transaction) = try #require(scene.transactions().first)
        #expect(id == plan.id)
        #expect(transaction.recipients.map(\.description) == ["a@x.example"])
        scene.answer(id, [.accepted])
        let settlement = try #require(scene.settlements().first)
        #expect(settlement.ended.map(\.how) == [.delivered])
        #expect(settlement.remaining == nil)
        #expect(scene.attempts().map(\.decision) == ["delivered"])
        #expect(scene.planner.works == 0)
        #expect(scene.planner.octets == 0)
    }

    @Test func `a session carries as many messages as it may, then another is opened`() throws {
        var scene = Scene(messagesPerSession: 2, rules: rules) { $0.sessionsPerSite = 1 }
        for _ in 0..<3 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        let first = scene.openings()
        #expect(first.count == 1)
        scene.open(first[0])
        for _ in 0..<2 {
            let sends = scene.transactions()
            #expect(sends.count == 1)
            scene.answer(sends[0].0, [.accepted])
        }
        let second = scene.openings()
        #expect(second.count == 1)
        scene.open(second[0])
        #expect(scene.transactions().count == 1)
    }

    @Test func `an idle session takes the next message and ends when none comes`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(plan.id, [.accepted])
        _ = scene.take()
        scene.wait(.seconds(2))
        scene.arrive(scene.work(["b@x.example"]))
        #expect(scene.transactions().map(\.0) == [plan.id])
        #expect(scene.openings().isEmpty)
        scene.answer(plan.id, [.accepted])
        _ = scene.take()
        scene.wait(.seconds(6))
        let closes = scene.take().filter { if case .close(plan.id) = $0 { true } else { false } }
        #expect(closes.count == 1)
        #expect(scene.planner.isQuiet)
    }

    @Test func `recipients of domains with the same hosts go in one transaction`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["z@warm.example"]))
        scene.resolve { _ in .hosts(Scene.hosts(["mx.shared.example": 10])) }
        scene.arrive(scene.work(["z@other.example"]))
        scene.resolve { _ in .hosts(Scene.hosts(["mx.shared.example": 10])) }
        _ = scene.take()
        var sizes: [Int] = []
        for plan in scene.planner.sessions.keys.sorted(by: { $0.value < $1.value }) {
            scene.planner.opened(plan, facts: SessionFacts(tls: nil), at: scene.now)
            scene.collect()
        }
        sizes = scene.transactions().map(\.1.recipients.count)
        #expect(sizes == [1, 1])
        scene.arrive(scene.work(["a@warm.example", "b@other.example", "c@warm.example"]))
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        #expect(scene.transactions().map(\.1.recipients.count) == [3])
    }

    @Test func `a refusal about the address goes on from another source at once, within the budget`() throws {
        var scene = Scene(sources: 4, budget: 3, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        var used: Set<String> = []
        for round in 1...3 {
            let plan = try #require(scene.openings().first)
            #expect(used.insert(plan.source.name).inserted, "no source twice")
            scene.open(plan)
            scene.answer(plan.id, [Self.listed])
            let settlement = try #require(scene.settlements().first)
            #expect(settlement.remaining?.progress.tried.count == round)
            #expect(settlement.stillHandedOut == (round < 3))
            #expect(scene.attempts().first?.decision == (round < 3 ? "another source" : "later"))
            if round == 3 { #expect(settlement.remaining?.progress.due == scene.now + .minutes(5)) }
        }
        #expect(scene.openings().isEmpty)
        #expect(scene.planner.works == 0)
    }

    @Test func `a refusal in the banner is about the address as well`() throws {
        var scene = Scene(sources: 4, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let first = try #require(scene.openings().first)
        scene.fail(first, .banner, .reply(Reply(554, nil, "your address is blocked using dnsbl.example")))
        let second = try #require(scene.openings().first)
        #expect(second.source != first.source)
        scene.open(second)
        let (id, transaction) = try #require(scene.transactions().first)
        scene.answer(id, Array(repeating: .accepted, count: transaction.recipients.count))
        #expect(scene.settlements().last?.remaining == nil)
    }

    @Test func `a message read back does not go out from a source it was refused from`() throws {
        for seed in UInt64(1)...20 {
            var scene = Scene(sources: 4, seed: seed, rules: rules)
            let progress = Progress(rounds: 1, due: scene.now, tried: ["lab-1", "lab-2", "lab-3"])
            scene.planner.fetched(
                domain: "x.example", works: scene.work(["a@x.example"], progress: progress), more: false, at: scene.now)
            scene.collect()
            scene.resolve()
            #expect(scene.openings().map(\.source.name) == ["lab-4"])
        }
    }

    @Test func `greylisting waits and comes again from the same source`() throws {
        for seed in UInt64(1)...10 {
            var scene = Scene(sources: 50, seed: seed, rules: rules)
            scene.arrive(scene.work(["a@x.example"]))
            scene.resolve()
            let plan = try #require(scene.openings().first)
            scene.open(plan)
            let grey = PhaseAnswer.said(451, EnhancedStatus(4, 7, 1), "greylisted", at: .rcpt)
            scene.answer(plan.id, [grey], reusable: false)
            let left = try #require(scene.settlements().first?.remaining)
            #expect(left.progress.pinned == plan.source.name)
            #expect(left.progress.tried.isEmpty)
            scene.wait(.minutes(6))
            scene.planner.fetched(domain: "x.example", works: [left], more: false, at: scene.now)
            scene.collect()
            scene.resolve()
            #expect(scene.openings().map(\.source.name) == [plan.source.name])
        }
    }

    @Test func `one recipient's refusal is not the transaction's`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example", "b@x.example", "c@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(
            plan.id,
            [
                .accepted, .said(550, EnhancedStatus(5, 1, 1), "user unknown", at: .rcpt),
                .said(452, EnhancedStatus(4, 2, 2), "mailbox full", at: .rcpt),
            ])
        let settlement = try #require(scene.settlements().first)
        #expect(settlement.ended.map(\.how) == [.delivered, .failed])
        #expect(settlement.remaining?.recipients.map(\.description) == ["c@x.example"])
        #expect(settlement.remaining?.progress.due == scene.now + .minutes(5))
    }

    @Test func `a dead host gives way to the next, a dead site goes back to the store untouched`() throws {
        var scene = Scene(rules: rules)
        let work = scene.work(["a@x.example"])
        scene.arrive(work)
        scene.resolve { _ in .hosts(Scene.hosts(["mx1.x.example": 10, "mx2.x.example": 20])) }
        let first = try #require(scene.openings().first)
        #expect(first.host == "mx1.x.example")
        scene.fail(first, .connect, .trouble(.connection, "connection refused"))
        let second = try #require(scene.openings().first)
        #expect(second.host == "mx2.x.example")
        scene.fail(second, .connect, .trouble(.timeout, "connection timed out"))
        #expect(scene.openings().isEmpty)
        let settlement = try #require(scene.settlements().first)
        #expect(settlement.remaining?.progress.due == work[0].progress.due)
        #expect(settlement.remaining?.progress.firstRefusal?.description.contains("timed out") == true)
        let until = try #require(scene.postponed()["x.example"])
        #expect(until > scene.now)
        #expect(scene.arrive(scene.work(["b@x.example"])).count == 1, "while it is dead nothing is taken in")
        #expect(scene.planner.works == 0)
    }

    @Test func `a host that takes no further session goes on with those it has`() throws {
        var scene = Scene(messagesPerSession: 100, rules: rules)
        for _ in 0..<6 { scene.arrive(scene.work(["a@x.example"])) }
        scene.resolve()
        var plans = scene.openings()
        scene.open(plans[0])
        plans += scene.openings()
        #expect(plans.count == 6)
        scene.open(plans[1])
        for plan in plans[2...] { scene.fail(plan, .banner, .reply(Reply(421, nil, "too many connections"))) }
        #expect(scene.openings().isEmpty)
        var delivered = 0
        while let (id, transaction) = scene.transactions().first {
            scene.answer(id, transaction.recipients.map { _ in .accepted })
            delivered += 1
            if delivered > 10 { break }
        }
        #expect(scene.settlements().count == 5, "one session was left waiting for its answer")
        #expect(scene.planner.blockedSites == 0)
    }

    @Test func `NXDOMAIN and null MX end it, SERVFAIL postpones the domain`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@gone.example"]))
        scene.resolve { _ in .never(.noSuchDomain) }
        #expect(scene.settlements().first?.ended.map(\.how) == [.failed])
        scene.arrive(scene.work(["a@nomail.example"]))
        scene.resolve { _ in .never(.nullMX) }
        #expect(scene.settlements().first?.ended.first?.reason.contains("null MX") == true)
        scene.arrive(scene.work(["a@broken.example"]))
        scene.resolve { _ in .later("SERVFAIL") }
        #expect(scene.settlements().first?.remaining != nil)
        #expect(scene.postponed()["broken.example"] == scene.now + .minutes(5))
    }

    @Test func `a connection lost after the final dot keeps its source and waits`() throws {
        var scene = Scene(sources: 30, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(
            plan.id, [PhaseAnswer(phase: .dot, answer: .trouble(.connection, "connection lost"))], reusable: false)
        let settlement = try #require(scene.settlements().first)
        #expect(settlement.remaining?.progress.pinned == plan.source.name)
        #expect(settlement.remaining?.progress.tried.isEmpty == true)
        #expect(scene.attempts().first?.cause == .uncertain)
        #expect(scene.openings().isEmpty)
    }

    @Test func `a source that cannot be bound is set aside and another is used`() throws {
        var scene = Scene(sources: 2, rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let first = try #require(scene.openings().first)
        scene.fail(first, .connect, .trouble(.local, "cannot bind"))
        let second = try #require(scene.openings().first)
        #expect(second.source != first.source)
    }

    @Test func `a refused STARTTLS is tried again in the clear where no policy forbids it`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example"]))
        scene.resolve()
        let first = try #require(scene.openings().first)
        #expect(first.tls == .opportunistic)
        scene.fail(first, .starttls, .trouble(.tls, "handshake failed"))
        let second = try #require(scene.openings().first)
        #expect(second.tls == .none)
        #expect(second.address == first.address)
    }

    @Test func `more recipients than a transaction may hold go one transaction after the other`() throws {
        var scene = Scene(rules: rules) { $0.recipientsPerTransaction = 2 }
        scene.arrive(scene.work(["a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        for (sent, left) in [(2, 3), (2, 1), (1, 0)] {
            let (id, transaction) = try #require(scene.transactions().first)
            #expect(transaction.recipients.count == sent)
            scene.answer(id, Array(repeating: .accepted, count: sent))
            let settlement = try #require(scene.settlements().first)
            #expect(settlement.remaining?.recipients.count ?? 0 == left)
            #expect(settlement.stillHandedOut == (left > 0))
        }
    }

    @Test func `what is past its deadline is not sent any more`() throws {
        var scene = Scene(rules: rules)
        scene.arrive(scene.work(["a@x.example"], expiresIn: .seconds(60)))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.now = scene.now + .seconds(58)
        scene.open(plan)
        #expect(scene.transactions().isEmpty)
        #expect(scene.settlements().first?.remaining != nil)
        #expect(scene.planner.works == 0)
    }

    @Test func `one customer's thousand messages do not stand before another's one`() throws {
        var scene = Scene(rules: rules) { $0.sessionsPerSite = 1 }
        for _ in 0..<1_000 { scene.arrive(scene.work(["a@x.example"], customer: "news")) }
        scene.arrive(scene.work(["b@x.example"], customer: "letter"))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        var seen: [String] = []
        for _ in 0..<3 {
            let (id, transaction) = try #require(scene.transactions().first)
            seen.append(transaction.message.customer)
            scene.answer(id, [.accepted])
        }
        #expect(seen.contains("letter"))
    }

    @Test func `sources are drawn uniformly`() throws {
        var scene = Scene(sources: 254, messagesPerSession: 1, seed: 42, rules: rules) { $0.sessionsPerSite = 100 }
        var counts: [String: Int] = [:]
        for _ in 0..<25_400 {
            scene.arrive(scene.work(["a@x.example"]))
            scene.resolve()
            let plan = try #require(scene.openings().first)
            counts[plan.source.name, default: 0] += 1
            scene.open(plan)
            scene.answer(plan.id, [.accepted], reusable: true)
            _ = scene.take()
        }
        let expected = 100.0
        let chiSquare = counts.values.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        #expect(counts.count == 254)
        // 253 degrees of freedom: p = 1e-6 lies at 368.
        #expect(chiSquare < 368)
    }

    @Test func `a window that is full turns work away, and a refill asks for it again`() throws {
        var scene = Scene(rules: rules) { $0.window = 4 }
        var away = 0
        for _ in 0..<10 { away += scene.arrive(scene.work(["a@x.example"])).count }
        #expect(away == 8, "half of it is for places that are known to take mail")
        #expect(scene.planner.works == 2)
    }
}
