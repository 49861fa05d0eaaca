import Mail
import Synchronization

/// The customers of this moment: those of the node's file and those that are kept. Sessions ask for them when they
/// begin and at a login; whether they are still the same costs one look at a number.
final class CurrentCustomers: Sendable {
    private struct State {
        var declared: [Customer]
        var kept: [Customer]
        var directory: CustomerDirectory
    }

    private let state: Mutex<State>
    private let number = Atomic<Int>(0)

    init(declared: [Customer]) {
        state = Mutex(State(declared: declared, kept: [], directory: CustomerDirectory(declared)))
    }

    /// Grows with every change.
    var version: Int { number.load(ordering: .acquiring) }

    var directory: CustomerDirectory { state.withLock { $0.directory } }

    func replace(declared: [Customer]? = nil, kept: [Customer]? = nil) {
        state.withLock { state in
            state.declared = declared ?? state.declared
            state.kept = kept ?? state.kept
            // What the operator wrote into the file stands before what is kept.
            state.directory = CustomerDirectory(state.declared + state.kept)
        }
        number.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }
}
