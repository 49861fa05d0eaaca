import Mail
import NIOCore
import NIOPosix
import Queue
import Synchronization

/// Keeps what was accepted in memory, and commits when it is told to.
final class HeldMail: AcceptedMail {
    private struct State {
        var admission = Admission.open
        var refusal: String?
        var holds = false
        var accepted: [Accepted] = []
        var waiting: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// What is said to every MAIL from now on.
    func set(_ admission: Admission) { state.withLock { $0.admission = admission } }
    /// From now on nothing can be kept; nil ends that.
    func refuse(_ reason: String?) { state.withLock { $0.refusal = reason } }
    /// From now on commits wait for ``release()``.
    func hold() { state.withLock { $0.holds = true } }

    func release() {
        let waiting = state.withLock { state in
            state.holds = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for answer in waiting { answer() }
    }

    var accepted: [Accepted] { state.withLock { $0.accepted } }

    func admission() -> Admission { state.withLock { $0.admission } }

    func commit(_ accepted: Accepted, then: @escaping @Sendable (CommitResult) -> Void) {
        let answer: @Sendable () -> Void = { [self] in
            let result = state.withLock { state -> CommitResult in
                if let refusal = state.refusal { return .refused(refusal) }
                state.accepted.append(accepted)
                return .committed
            }
            // The queue answers on a thread of its own, never on the session's.
            MultiThreadedEventLoopGroup.singleton.next().execute { then(result) }
        }
        let holds = state.withLock { state in
            if state.holds { state.waiting.append(answer) }
            return state.holds
        }
        if !holds { answer() }
    }
}

/// Files of content in memory; the disk can be made slow or broken.
final class HeldFiles: ContentFiles {
    fileprivate struct State {
        var files: [String: ByteBuffer] = [:]
        var abandoned = 0
        var removed: [String] = []
        var stalls = false
        var fails = false
        var stalled: [@Sendable () -> Void] = []
        var highestBacklog = 0
    }

    fileprivate let state = Mutex(State())
    /// One thread: writes keep their order.
    fileprivate let disk = MultiThreadedEventLoopGroup.singleton.next()

    struct DiskFull: Error {}

    func stall() { state.withLock { $0.stalls = true } }
    func fail() { state.withLock { $0.fails = true } }

    func goOn() {
        state.withLock { state in
            state.stalls = false
            // Handed on before anybody can see that the disk goes on, so that what comes later stays behind.
            for write in state.stalled { disk.execute(write) }
            state.stalled = []
        }
    }

    func content(_ name: String) -> ByteBuffer? { state.withLock { $0.files[name] } }
    var abandoned: Int { state.withLock { $0.abandoned } }
    var removed: [String] { state.withLock { $0.removed } }
    var highestBacklog: Int { state.withLock { $0.highestBacklog } }

    func write(for id: MessageID, on loop: any EventLoop) -> any ContentWriter {
        Writer(files: self, name: "\(id)", loop: loop)
    }

    func read(_ name: String, on loop: any EventLoop) -> EventLoopFuture<any ContentReader> {
        guard let content = content(name) else { return loop.makeFailedFuture(DiskFull()) }
        return loop.makeSucceededFuture(Reader(content, loop))
    }

    private final class Reader: ContentReader {
        private let left: Mutex<ByteBuffer>
        private let loop: any EventLoop

        init(_ content: ByteBuffer, _ loop: any EventLoop) {
            left = Mutex(content)
            self.loop = loop
        }

        func next(_ limit: Int) -> EventLoopFuture<ByteBuffer?> {
            let part = left.withLock { left in left.readSlice(length: min(limit, left.readableBytes)) }
            return loop.makeSucceededFuture(part.flatMap { $0.readableBytes > 0 ? $0 : nil })
        }

        func close() {}
    }

    func remove(_ names: [String]) {
        state.withLock { state in
            state.removed += names
            for name in names { state.files[name] = nil }
        }
    }

    private final class Writer: ContentWriter {
        private let files: HeldFiles
        private let name: String
        private let loop: any EventLoop
        private let waiting = Mutex(0)

        init(files: HeldFiles, name: String, loop: any EventLoop) {
            self.files = files
            self.name = name
            self.loop = loop
        }

        var backlog: Int { waiting.withLock { $0 } }

        func append(_ bytes: ByteBuffer) -> EventLoopFuture<Void> {
            let promise = loop.makePromise(of: Void.self)
            let backlog = waiting.withLock { waiting in
                waiting += bytes.readableBytes
                return waiting
            }
            let write: @Sendable () -> Void = { [self] in
                waiting.withLock { $0 -= bytes.readableBytes }
                let fails = files.state.withLock { state in
                    state.files[name, default: ByteBuffer()].writeImmutableBuffer(bytes)
                    return state.fails
                }
                if fails { promise.fail(DiskFull()) } else { promise.succeed() }
            }
            let stalls = files.state.withLock { state in
                state.highestBacklog = max(state.highestBacklog, backlog)
                if state.stalls { state.stalled.append(write) }
                return state.stalls
            }
            if !stalls { files.disk.execute(write) }
            return promise.futureResult
        }

        func overwrite(_ bytes: ByteBuffer, at offset: Int) -> EventLoopFuture<Void> {
            let promise = loop.makePromise(of: Void.self)
            files.disk.execute { [self] in
                files.state.withLock { _ = $0.files[name]?.setBuffer(bytes, at: offset) }
                promise.succeed()
            }
            return promise.futureResult
        }

        func restart() {
            files.disk.execute { [self] in files.state.withLock { $0.files[name] = ByteBuffer() } }
        }

        func finish() -> EventLoopFuture<Content> {
            let promise = loop.makePromise(of: Content.self)
            // Behind everything that still waits.
            append(ByteBuffer()).whenComplete { [name] result in
                promise.completeWith(result.map { Content.file(name: name) })
            }
            return promise.futureResult
        }

        func abandon() {
            files.state.withLock { state in
                state.abandoned += 1
                state.files[name] = nil
            }
        }
    }
}
