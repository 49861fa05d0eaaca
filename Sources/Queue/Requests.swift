import DequeModule
import Synchronization

/// What Delivery and operators ask of the reader thread.
final class Requests: Sendable {
    private let state = Mutex(State())
    private let bell = Bell()

    private struct State {
        /// In order of the first request; one for each domain.
        var domains = Deque<String>()
        var limits: [String: Int] = [:]
        /// A few: one for each command that is carried out.
        var errands = Deque<@Sendable () -> Void>()
        var closing = false
    }

    /// A second request for a domain joins the first: the list is no longer than there are domains asked for.
    func add(domain: String, limit: Int) {
        state.withLock { state in
            if let known = state.limits[domain] {
                state.limits[domain] = max(known, limit)
            } else {
                state.limits[domain] = limit
                state.domains.append(domain)
            }
        }
        bell.ring()
    }

    /// Has the reader thread do something between two fetches; never, when it ends before.
    func add(errand: @escaping @Sendable () -> Void) {
        state.withLock { $0.errands.append(errand) }
        bell.ring()
    }

    func close() {
        state.withLock { $0.closing = true }
        bell.ring()
    }

    enum Next {
        case errand(@Sendable () -> Void)
        case fetch(domain: String, limit: Int)
        case nothing
        case close
    }

    func next() -> Next {
        state.withLock { state in
            if state.closing { return .close }
            if let errand = state.errands.popFirst() { return .errand(errand) }
            guard let domain = state.domains.popFirst() else { return .nothing }
            return .fetch(domain: domain, limit: state.limits.removeValue(forKey: domain) ?? 0)
        }
    }

    func wait(nanoseconds: Int64) { bell.wait(nanoseconds: nanoseconds) }
}
