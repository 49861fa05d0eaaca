import Glibc
import Queue
import Synchronization

/// Makes the names in a folder durable: one fsync for all that wait for it, on a thread of its own.
final class FolderSync: Sendable {
    typealias Answer = @Sendable (Result<Void, any Error>) -> Void

    private let path: String
    /// Open all the time, so that no failure that the kernel has to tell is told to somebody else.
    private let descriptor: Int32
    private let call: @Sendable (Int32) -> Int32
    private let bell = Bell()
    private let state = Mutex(State())

    private struct State {
        var waiting: [Waiting] = []
        /// How often a sync has failed.
        var failures = 0
        var closing = false
        var thread: OwnThread?
    }

    private struct Waiting {
        let failures: Int
        let answer: Answer
    }

    /// - Parameter call: fsync, or what a test has in its place.
    init(path: String, call: @escaping @Sendable (Int32) -> Int32 = { fsync($0) }) throws {
        self.path = path
        self.call = call
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreFailure(errno: errno, "cannot open \(path)") }
        let thread = try OwnThread(name: "figaro-folder") { [self] in run() }
        state.withLock { $0.thread = thread }
    }

    deinit {
        close(descriptor)
    }

    /// To be asked before a name is made; see ``sync(since:_:)``.
    var failures: Int { state.withLock { $0.failures } }

    /// Syncs the folder, and answers on the folder's thread.
    ///
    /// - Parameter failures: what ``failures`` was before the name was made. A sync that failed since may have lost
    ///   that name although a later one succeeds, because the kernel takes what it could not write for clean.
    func sync(since failures: Int, _ answer: @escaping Answer) {
        state.withLock { $0.waiting.append(Waiting(failures: failures, answer: answer)) }
        bell.ring()
    }

    /// Ends the thread after all that was asked for. Blocks.
    func stop() {
        state.withLock { $0.closing = true }
        bell.ring()
        state.withLock { $0.thread }?.join()
    }

    private func run() {
        while true {
            let (waiting, closing) = state.withLock { state in
                defer { state.waiting = [] }
                return (state.waiting, state.closing)
            }
            if waiting.isEmpty {
                if closing { return }
                bell.wait(nanoseconds: .max)
            } else {
                answer(waiting)
            }
        }
    }

    private func answer(_ waiting: [Waiting]) {
        let failure = call(descriptor) == 0 ? nil : StoreFailure(errno: errno, "cannot sync \(path)")
        let failures = state.withLock { state in
            if failure != nil { state.failures += 1 }
            return state.failures
        }
        for one in waiting {
            if let failure {
                one.answer(.failure(failure))
            } else if one.failures != failures {
                one.answer(.failure(StoreFailure(.failed, "\(path) was not synced while the file was written")))
            } else {
                one.answer(.success(()))
            }
        }
    }
}
