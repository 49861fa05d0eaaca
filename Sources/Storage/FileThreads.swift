import DequeModule
import Queue
import Synchronization

/// Threads for file calls that block. Jobs given to one lane run in order.
final class FileThreads: Sendable {
    private let lanes: [Lane]
    private let last = Atomic<UInt>(0)

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

    /// The lanes in turn; one for each file, so that as few files as possible wait for another's sync.
    func nextLane() -> Int {
        Int(last.wrappingAdd(1, ordering: .relaxed).newValue % UInt(lanes.count))
    }

    func run(_ number: Int, _ job: @escaping @Sendable () -> Void) {
        let lane = lanes[number]
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
