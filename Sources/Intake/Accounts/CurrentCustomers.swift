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
            state.directory = CustomerDirectory(Self.joined(state.declared, state.kept))
        }
        number.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }

    /// What the operator wrote into the file stands before what is kept: a network or certificate that the file gives
    /// to somebody is theirs, and of a customer that stands in both places the file says what it may. What is kept of
    /// that one are more networks and certificates, logins, and that it is closed.
    static func joined(_ declared: [Customer], _ kept: [Customer]) -> [Customer] {
        var joined = declared
        let places = Dictionary(declared.enumerated().map { ($1.name, $0) }) { first, _ in first }
        let taken = Set(declared.flatMap(\.networks))
        let shown = Set(declared.flatMap(\.certificates))
        for var customer in kept {
            customer.networks.removeAll { taken.contains($0) }
            customer.certificates.removeAll { shown.contains($0) }
            guard let place = places[customer.name] else {
                joined.append(customer)
                continue
            }
            joined[place].networks += customer.networks
            joined[place].credentials += customer.credentials
            joined[place].certificates += customer.certificates
            joined[place].isClosed = customer.isClosed
        }
        return joined
    }
}
