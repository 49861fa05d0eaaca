import NIOCore

/// What was checked since the start of a filter, and how its nodes stand.
package struct FilterFigures: Sendable, Hashable {
    package struct Node: Sendable, Hashable {
        package var name: String
        package var isScanner: Bool
        /// Checks it was asked for, and those of them that it gave no answer to that counts.
        package var checks: Int
        package var failed: Int
        /// Checks it has at this moment.
        package var busy: Int
        /// Set aside after failures.
        package var isAside: Bool
        /// Seconds until it may come back, once a ping is answered; 0 where only that is waited for.
        package var secondsAside: Int
        /// It came back a moment ago, and its share still grows.
        package var isReturning: Bool
        /// Why the latest check that failed did; nil once one has been answered.
        package var lastFailure: String?

        init(name: String, isScanner: Bool, node: NodeBalance.Node, now: NIODeadline) {
            self.name = name
            self.isScanner = isScanner
            checks = node.checks
            failed = node.failed
            busy = node.busy
            isAside = node.aside != nil
            lastFailure = node.lastFailure
            let left = node.aside.map { max(0, ($0 - now).nanoseconds) } ?? 0
            secondsAside = Int((left + 999_999_999) / 1_000_000_000)
            isReturning = node.returned.map { now < $0 + NodeBalance.ramp } ?? false
        }
    }

    package var checked = 0
    package var viruses = 0
    package var unavailable = 0
    package var tooLarge = 0
    /// By action; those that carried a virus are among the rejected.
    package var actions: [Verdict.Action: Int] = [:]
    /// Asked a second time.
    package var hedges = 0
    /// Checks by the time they took: one more than ``bounds``, the last is above all of them.
    package var times = [Int](repeating: 0, count: Self.bounds.count + 1)
    /// Seconds in all.
    package var sum = 0.0
    package var nodes: [Node] = []

    /// Seconds: from a filter without rules to a client's patience.
    package static let bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    mutating func add(_ result: CheckResult, after time: TimeAmount) {
        checked += 1
        let seconds = Double(time.nanoseconds) / 1e9
        times[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
        sum += seconds
        switch result {
        case .unavailable: unavailable += 1
        case .tooLarge: tooLarge += 1
        case .verdict(let verdict):
            actions[verdict.action, default: 0] += 1
            if verdict.virus != nil { viruses += 1 }
        }
    }

    /// Checks by what came of them, in the words of metrics; viruses are no longer among the rejected.
    package var results: [(word: String, count: Int)] {
        Verdict.Action.allCases.map { action in
            let count = actions[action] ?? 0
            return (action.rawValue, action == .reject ? count - viruses : count)
        } + [("virus", viruses), ("unavailable", unavailable), ("too large", tooLarge)]
    }
}
