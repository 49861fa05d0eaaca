import Glibc
import Synchronization

/// What callers want resolved, on its way to the resolver's thread.
final class LookupRequests: Sendable {
    struct Request: Sendable {
        let domain: String
        let then: @Sendable (Resolution) -> Void
    }

    private struct State {
        var waiting: [Request] = []
        var open = true
        /// The thread took its last look; nobody will come for what is added now.
        var abandoned = false
    }

    private let state = Mutex(State())
    /// A byte in it wakes the thread.
    private let pipe: (read: Int32, write: Int32)

    init() {
        var ends: [Int32] = [-1, -1]
        if Glibc.pipe(&ends) == 0 {
            for end in ends {
                _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK)
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            }
        }
        pipe = (ends[0], ends[1])
    }

    deinit {
        if pipe.read >= 0 { Glibc.close(pipe.read) }
        if pipe.write >= 0 { Glibc.close(pipe.write) }
    }

    /// Readable when there is something to take; -1 when the machine was out of descriptors.
    var descriptor: Int32 { pipe.read }

    func add(_ request: Request) {
        let (wake, abandoned) = state.withLock { state in
            if state.abandoned { return (false, true) }
            state.waiting.append(request)
            return (state.waiting.count == 1, false)
        }
        if abandoned { request.then(.later("the resolver is closed")) }
        if wake { ring() }
    }

    func close() {
        state.withLock { $0.open = false }
        ring()
    }

    /// Everything that was added since the last call.
    func take() -> (requests: [Request], open: Bool) {
        var bytes: (UInt64, UInt64) = (0, 0)
        _ = withUnsafeMutableBytes(of: &bytes) { read(pipe.read, $0.baseAddress, $0.count) }
        return state.withLock { state in
            let requests = state.waiting
            state.waiting = []
            if !state.open { state.abandoned = true }
            return (requests, state.open)
        }
    }

    /// A full pipe wakes as well as one more byte would.
    private func ring() {
        var byte: UInt8 = 1
        _ = write(pipe.write, &byte, 1)
    }
}
