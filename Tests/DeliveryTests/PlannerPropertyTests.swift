import DNS
import Foundation
import Mail
import Queue
import Testing

@testable import Delivery

/// Random worlds: whatever happens in whatever order, nothing is lost, kept without a next event, or ended twice, and
/// no source, relay or receiver is used as it must not be.
@Suite("Planner, random events")
struct PlannerPropertyTests {
    @Test(arguments: [UInt64](1...60))
    func `every work ends once or goes back to the queue with a due time`(seed: UInt64) throws {
        try Self.run(seed: seed, steps: 600)
    }

    /// Ten thousand short ones where they are fast, on all cores; a failing one tells its story and says how it is run
    /// again.
    @Test func `ten thousand worlds`() async throws {
        #if DEBUG
        let usual: UInt64 = 300
        #else
        let usual: UInt64 = 10_000
        #endif
        let asked = Self.number("FIGARO_SEED")
        let last = asked ?? Self.number("FIGARO_WORLDS") ?? usual
        let lanes = ProcessInfo.processInfo.activeProcessorCount
        try await withThrowingTaskGroup { group in
            for lane in 0..<lanes {
                let seeds = stride(from: (asked ?? 1) + UInt64(lane), through: last, by: lanes)
                group.addTask { try await Self.run(seeds: seeds) }
            }
            try await group.waitForAll()
        }
    }

    @concurrent private static func run(seeds: StrideThrough<UInt64>) async throws {
        var failed = 0
        for seed in seeds where failed < 3 {
            if try !run(seed: seed, steps: 120) { failed += 1 }
        }
    }

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @discardableResult
    private static func run(seed: UInt64, steps: Int) throws -> Bool {
        let world = try world(seed: seed, steps: steps)
        guard !world.faults.isEmpty else { return true }
        Issue.record(
            Comment(
                rawValue: "seed \(seed), \(steps) steps (FIGARO_SEED=\(seed) runs it again)\n\(world.lastOfStory)"))
        return false
    }

    private static func world(seed: UInt64, steps: Int) throws -> RandomWorld {
        var world = try RandomWorld(seed: seed)
        for _ in 0..<steps { world.step() }
        // One world in eight stands still until every deadline is over, the others become kind.
        if seed % 8 == 0 { world.standStill() } else { world.settleDown() }
        world.checkEnds()
        return world
    }

    /// The hashing of each world is another, and nothing may follow from it.
    @Test(arguments: [UInt64](1...20))
    func `a seed tells the same story each time`(seed: UInt64) throws {
        // Sessions that were idle for too long are closed together.
        let told = { try Self.world(seed: seed, steps: 120).story.map(\.text).filter { !$0.contains(": close") } }
        let story = try told()
        let again = try told()
        let difference = zip(story, again).first { $0 != $1 }
        #expect(story.count == again.count && difference == nil, "\(difference.map { "\($0)" } ?? "")")
    }
}
