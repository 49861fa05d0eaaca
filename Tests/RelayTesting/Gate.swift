import Queue
import Synchronization

/// Where a test lets a thread of the queue stand still.
package final class Gate: Sendable {
    private struct State {
        var isShut = false
        var isHolding = false
    }

    private let state = Mutex(State())
    private let opened = Bell()

    package func shut() { state.withLock { $0.isShut = true } }

    package func open() {
        state.withLock { $0.isShut = false }
        opened.ring()
    }

    /// A thread stands at it.
    package var isHolding: Bool { state.withLock { $0.isHolding } }

    func pass() {
        while state.withLock({ state in
            state.isHolding = state.isShut
            return state.isShut
        }) { opened.wait(nanoseconds: 1_000_000_000) }
    }
}
