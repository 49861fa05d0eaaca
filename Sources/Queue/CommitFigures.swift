import Synchronization

/// What committing has cost since the start; written by the commit thread, read by whoever watches.
package final class CommitFigures: Sendable {
    package struct Snapshot: Sendable, Hashable {
        /// Transactions by the time they took: one more than ``CommitFigures/bounds``, the last is above all of them.
        package var counts = [Int](repeating: 0, count: CommitFigures.bounds.count + 1)
        /// Seconds in all.
        package var sum = 0.0
        /// Messages made durable.
        package var messages = 0
        /// Transactions that failed.
        package var failures = 0
    }

    /// Seconds. From a disk with a write cache that keeps its word to one that is in trouble.
    package static let bounds = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]

    private let state = Mutex(Snapshot())

    package var snapshot: Snapshot { state.withLock { $0 } }

    /// - Parameter nanoseconds: from the first statement to the completed fsync.
    func committed(messages: Int, nanoseconds: UInt64) {
        let seconds = Double(nanoseconds) / 1e9
        state.withLock { state in
            state.counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
            state.sum += seconds
            state.messages += messages
        }
    }

    func failed() {
        state.withLock { $0.failures += 1 }
    }
}
