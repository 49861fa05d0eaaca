import Queue
import Synchronization

/// A test lets a thread of the queue stand still in the store.
extension MemoryStore {
    /// Lets the commit thread stand still at its next write until ``releaseWrites()``.
    package func holdWrites() { state.withLock { $0.held = true } }

    package func releaseWrites() {
        state.withLock { $0.held = false }
        released.ring()
    }

    /// The commit thread stands at a held write.
    package var isHolding: Bool { state.withLock { $0.waiters > 0 } }

    func waitWhileHeld() {
        while state.withLock({ state in
            state.waiters = state.held ? 1 : 0
            return state.held
        }) { released.wait(nanoseconds: 1_000_000_000) }
    }

    /// Lets whoever reads a page of a domain stand still behind what it has read until ``releasePages()``.
    package func holdPages() { state.withLock { $0.holdsPages = true } }

    package func releasePages() {
        state.withLock { $0.holdsPages = false }
        released.ring()
    }

    /// A page stands still.
    package var isHoldingPage: Bool { state.withLock { $0.heldPages > 0 } }

    func waitWhilePagesAreHeld() {
        while state.withLock({ state in
            state.heldPages = state.holdsPages ? 1 : 0
            return state.holdsPages
        }) { released.wait(nanoseconds: 1_000_000_000) }
    }
}
