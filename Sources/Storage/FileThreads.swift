import DequeModule
import Queue
import Synchronization

/// A few threads for file calls that block. Jobs given under one number run in order.
final class FileThreads: Sendable {
    private let lanes: [Lane]

    private final class Lane: Sendable {
        let bell = Bell()
        let state = Mutex(State())

        struct State {
            var jobs = Deque<@Sendable () -> Void>()
            var closing = false
            var thread: OwnThread?
        }

        /// nil at the end.
        func next() -> (@Sendable () -> Void)? {
            while true {
                let (job, closing) = state.withLock { ($0.jobs.popFirst(), $0.closing) }
                if let job { return job }
                if closing { return nil }
                bell.wait(nanoseconds: .max)
            }
        }
    }

    init(count: Int) throws {
        lanes = (0..<max(1, count)).map { _ in Lane() }
        for lane in lanes {
            let thread = try OwnThread(name: "figaro-files") { while let job = lane.next() { job() } }
            lane.state.withLock { $0.thread = thread }
        }
    }

    func run(_ number: UInt64, _ job: @escaping @Sendable () -> Void) {
        let lane = lanes[Int(number % UInt64(lanes.count))]
        lane.state.withLock { $0.jobs.append(job) }
        lane.bell.ring()
    }

    /// Ends the threads after all that was given. Blocks.
    func stop() {
        for lane in lanes {
            lane.state.withLock { $0.closing = true }
            lane.bell.ring()
        }
        for lane in lanes { lane.state.withLock { $0.thread }?.join() }
    }
}
