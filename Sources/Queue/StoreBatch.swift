package import Mail

/// What one transaction writes. The parts are carried out in the order in which they stand here.
package struct StoreBatch: Sendable {
    /// When it was put together.
    package var at: Timestamp
    /// Ids that a failed transaction may have left behind although they were refused.
    package var undone: [MessageID] = []
    package var agenda: [AgendaMove] = []
    package var accepted: [StoredMessage] = []
    package var filed: [WaitingRow] = []
    /// Of fresh messages.
    package var untold: [UntoldRecipient] = []
    /// Of filed works.
    package var settled: [Settlement] = []
    package var expired: [Expiration] = []
    /// What operators do with filed works.
    package var steered: [Steering] = []
    package var delays: Delays?
    package var told: [Told] = []
    /// Fresh messages that ended with nothing to be told.
    package var removed: [MessageID] = []
    package var state: StoreState?

    package init(at: Timestamp) {
        self.at = at
    }

    package var isEmpty: Bool {
        undone.isEmpty && agenda.isEmpty && accepted.isEmpty && filed.isEmpty && untold.isEmpty && settled.isEmpty
            && expired.isEmpty && steered.isEmpty && delays == nil && told.isEmpty && removed.isEmpty && state == nil
    }
}

/// A change to the agenda that no row carries with it.
package enum AgendaMove: Sendable, Hashable {
    /// All that is due was handed out; the next is due then, or none is left to wait for.
    case handedOut(domain: String, next: Timestamp?)
    /// The domain is not to be named before then, whatever is due.
    case postponed(domain: String, until: Timestamp)
    /// Something of the domain is due then or later; never puts off.
    case bringForward(domain: String, due: Timestamp)
}

/// What a transaction did beyond what its batch says.
package struct StoreResult: Sendable {
    /// What expired, in fact: the works that were still there, with their recipients.
    package var expired: [(key: WorkKey, ended: [Settlement.Ended])] = []
    /// What came of each of ``StoreBatch/steered``, in the same order.
    package var steered: [Steered] = []
    /// Content files of messages that were removed because their last work ended.
    package var files: [String] = []
    /// Works whose settlement named neither an end nor a next step for some recipients; these were kept.
    package var incomplete: [WorkKey] = []

    package init() {}
}
