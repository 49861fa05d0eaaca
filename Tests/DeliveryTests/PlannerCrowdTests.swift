import Mail
import Testing

@testable import Delivery

@Suite struct `Planner with more sites than sessions` {
    func crowd(sessions: Int, perSite: Int = 20, messagesPerSession: Int = 20) throws -> Scene {
        Scene(messagesPerSession: messagesPerSession, rules: try ReplyRules([])) {
            $0.sessions = sessions
            $0.sessionsPerSite = perSite
        }
    }

    /// Sessions that were asked to close.
    func closed(_ scene: inout Scene) -> [SessionID] {
        scene.take().compactMap { if case .close(let id) = $0 { id } else { nil } }
    }

    /// One message to a domain of its own, delivered; its session is idle then.
    func deliver(to domain: String, _ scene: inout Scene) throws -> SessionID {
        scene.arrive(scene.work(["a@\(domain)"]))
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.open(plan)
        scene.answer(plan.id, [.accepted])
        return plan.id
    }

    @Test func `the session that is idle longest gives way to another site, at once`() throws {
        var scene = try crowd(sessions: 3)
        let sessions = try ["a", "b", "c"].map { try deliver(to: "\($0).example", &scene) }
        _ = scene.take()
        // The first one is used again, so that the second is the oldest.
        scene.arrive(scene.work(["b@a.example"]))
        #expect(scene.transactions().map(\.0) == [sessions[0]])
        scene.answer(sessions[0], [.accepted])
        _ = scene.take()
        for expected in [sessions[1], sessions[2], sessions[0]] {
            _ = try deliver(to: "\(expected.value).new.example", &scene)
            #expect(closed(&scene) == [expected])
            #expect(scene.planner.sessions.count == 3)
        }
        scene.wait(.seconds(6))
        #expect(scene.planner.isQuiet)
        #expect(scene.planner.idle.oldest == nil)
    }

    @Test func `a busy session gives way to nobody, and the first to end lets the next site in`() throws {
        var scene = try crowd(sessions: 2, messagesPerSession: 1)
        for name in ["a", "b", "c"] { scene.arrive(scene.work(["a@\(name).example"])) }
        scene.resolve()
        let plans = scene.openings()
        #expect(plans.map(\.host) == ["mx.a.example", "mx.b.example"])
        for plan in plans { scene.open(plan) }
        #expect(scene.openings().isEmpty)
        scene.answer(plans[1].id, [.accepted])
        #expect(scene.openings().map(\.host) == ["mx.c.example"], "without waiting for a tick")
        #expect(scene.planner.crowdedOut.isEmpty)
    }

    @Test func `a site with much mail does not keep the others out`() throws {
        var scene = try crowd(sessions: 2, messagesPerSession: 1)
        for _ in 0..<100 { scene.arrive(scene.work(["a@much.example"])) }
        scene.resolve()
        for name in ["x", "y", "z"] { scene.arrive(scene.work(["a@\(name).example"])) }
        scene.resolve()
        var order: [String] = []
        for _ in 0..<8 {
            let plans = scene.openings()
            order += plans.map(\.host)
            for plan in plans {
                scene.open(plan)
                scene.answer(plan.id, [.accepted])
            }
            #expect(scene.planner.sessions.count <= 2)
        }
        // Two sessions were its own before the others came; from then on it has one turn in each round.
        #expect(Set(order.prefix(6)).isSuperset(of: ["mx.x.example", "mx.y.example", "mx.z.example"]))
        #expect(order.count { $0 == "mx.much.example" } > 8)
    }

    @Test func `the list of idle sessions loses any of them`() throws {
        var scene = try crowd(sessions: 5)
        let sessions = try (1...5).map { try deliver(to: "\($0).example", &scene) }
        for index in [2, 0, 4] {
            scene.planner.closed(sessions[index], at: scene.now)
        }
        var left: [SessionID] = []
        var next = scene.planner.idle.oldest
        while let session = next {
            left.append(session.id)
            next = session.idleAfter
        }
        #expect(left == [sessions[1], sessions[3]])
    }
}
