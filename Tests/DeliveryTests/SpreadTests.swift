import Mail
import Queue
import Testing

@testable import Delivery

/// After a refusal mail comes from far away; the first draw is uniform all the same.
@Suite("Spread of sources") struct SpreadTests {
    private static func next(sources: Int, tried: [Int], times: Int) throws -> [Int] {
        var scene = Scene(sources: sources, messagesPerSession: 1, rules: try ReplyRules([])) {
            $0.sessionsPerSite = 5_000
            $0.sessions = 10_000
        }
        var progress = Progress(due: scene.now)
        progress.tried = tried.map { "lab-\($0)" }
        for _ in 0..<times { scene.arrive(scene.work(["a@x.example"], progress: progress)) }
        scene.resolve()
        var drawn: [Int] = []
        // A site that has yet to show that it takes mail gets few at a time.
        while drawn.count < times {
            let plans = scene.openings()
            try #require(!plans.isEmpty)
            for plan in plans {
                drawn.append(try #require(Int(plan.source.name.dropFirst(4))))
                scene.open(plan)
            }
        }
        return drawn
    }

    private static func distances(_ drawn: [Int], from tried: [Int]) -> [Int] {
        drawn.map { source in tried.map { abs($0 - source) }.min() ?? 0 }
    }

    @Test(arguments: [
        ([127], 63), ([1], 126), ([254], 126), ([1, 254], 63), ([64, 190], 31), ([1, 127, 254], 31),
        ([10, 90, 170, 250], 20),
    ])
    func `each next source of a /24 is far from all that were refused`(tried: [Int], least: Int) throws {
        let drawn = try Self.next(sources: 254, tried: tried, times: 400)
        #expect(try #require(Self.distances(drawn, from: tried).min()) >= least)
        #expect(Set(drawn).count > 60, "and not always the same one: \(Set(drawn).count)")
    }

    @Test func `without a refusal every source is drawn, neighbours or not`() throws {
        let drawn = try Self.next(sources: 254, tried: [], times: 4_000)
        let counts = Dictionary(grouping: drawn) { $0 }.mapValues(\.count)
        #expect(counts.count == 254)
        // 15.7 each; for 254 of them 40 is beyond any chance.
        #expect(counts.values.allSatisfy { $0 < 40 })
    }

    @Test func `of ten thousand sources as many are compared as of a /24`() throws {
        let drawn = try Self.next(sources: 10_000, tried: [5_000], times: 200)
        #expect(try #require(Self.distances(drawn, from: [5_000]).min()) >= 2_000)
        #expect(Set(drawn).count > 150)
    }

    @Test func `where only neighbours are left, they are taken`() throws {
        let drawn = try Self.next(sources: 4, tried: [1, 2, 4], times: 20)
        #expect(Set(drawn) == [3])
    }

    @Test func `distances do not trap, whatever the addresses`() throws {
        let all = try ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1"].map
        {
            try #require(IPAddress($0))
        }
        for one in all { for other in all { #expect(one.distance(to: other) == other.distance(to: one)) } }
        #expect(all[0].distance(to: all[1]) == 4_294_967_295)
        #expect(all[0].distance(to: all[2]) == .infinity)
    }
}
