import NIOCore
import Testing

@testable import Filtering

@Suite struct `Which node is asked` {
    /// The same numbers in every run.
    struct Dice: RandomNumberGenerator {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15

        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    static func shares(_ balance: NodeBalance, at now: NIODeadline, of count: Int = 2_000) -> [Int] {
        var dice = Dice()
        var shares = balance.nodes.map { _ in 0 }
        for _ in 0..<count {
            if let node = balance.pick(without: [], at: now, using: &dice) { shares[node] += 1 }
        }
        return shares
    }

    @Test func `the one with less to do`() {
        var balance = NodeBalance(count: 2)
        balance.begin(0)
        #expect(Self.shares(balance, at: Self.at(0)) == [0, 2_000])
    }

    @Test func `nobody twice`() {
        let balance = NodeBalance(count: 3)
        var dice = Dice()
        #expect(balance.pick(without: [0, 2], at: Self.at(0), using: &dice) == 1)
        #expect(balance.pick(without: [0, 1, 2], at: Self.at(0), using: &dice) == nil)
        #expect(NodeBalance(count: 0).pick(without: [], at: Self.at(0), using: &dice) == nil)
    }

    @Test func `two failures in a row set aside, and a ping brings back slowly`() {
        var balance = NodeBalance(count: 2)
        for _ in 0..<2 {
            balance.begin(0)
            balance.failed(0, at: Self.at(0))
        }
        #expect(Self.shares(balance, at: Self.at(1)) == [0, 2_000])
        balance.pinged(0, isAlive: true, at: Self.at(1))
        #expect(Self.shares(balance, at: Self.at(1)) == [0, 2_000], "its pause is not over")
        balance.pinged(0, isAlive: true, at: Self.at(3))
        let first = Self.shares(balance, at: Self.at(4))[0]
        let later = Self.shares(balance, at: Self.at(8))[0]
        #expect(first > 0 && first < later && later < 1_000)
        #expect(Self.shares(balance, at: Self.at(60))[0] > 800)
    }

    @Test func `who fails again stays away for longer`() {
        var balance = NodeBalance(count: 2)
        var now = Self.at(0)
        var pauses: [Int64] = []
        for _ in 0..<8 {
            for _ in 0..<2 { balance.failed(0, at: now) }
            let since = now
            while balance.nodes[0].aside != nil {
                now = now + .seconds(1)
                balance.pinged(0, isAlive: true, at: now)
            }
            pauses.append((now - since).nanoseconds / 1_000_000_000)
        }
        #expect(pauses == [2, 4, 8, 16, 32, 60, 60, 60])
    }

    @Test func `where all are set aside all are asked`() {
        var balance = NodeBalance(count: 2)
        for node in [0, 1, 0, 1] { balance.pinged(node, isAlive: false, at: Self.at(0)) }
        #expect(Self.shares(balance, at: Self.at(0)).allSatisfy { $0 > 800 })
    }

    @Test func `five of a hundred are asked twice, and no more`() {
        var balance = NodeBalance(count: 2)
        #expect(balance.usualTime == nil && !balance.takeHedge())
        var hedged = 0
        for number in 0..<1_000 {
            balance.begin(0)
            balance.answered(0, after: .milliseconds(Int64(number % 100)))
            if balance.takeHedge() { hedged += 1 }
        }
        #expect(hedged == 50)
        #expect(balance.usualTime.map { $0 >= .milliseconds(90) && $0 <= .milliseconds(99) } == true)
        #expect(balance.nodes[0].busy == 0)
    }
}
