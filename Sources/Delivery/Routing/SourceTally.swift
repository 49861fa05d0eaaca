package import Mail

/// What came of a source since the start, in messages.
package struct SourceTally: Sendable, Hashable {
    /// Open now, those being opened included.
    package var sessions = 0
    /// With at least one recipient that the receiver took.
    package var delivered = 0
    /// With at least one that it refused, for whatever cause.
    package var refused = 0
    /// Refusals that were about the address or its network.
    package var blamed = 0
}

/// A source that could not be used on this machine.
package struct Unbound: Sendable, Hashable {
    /// When it is tried again.
    package var until: Timestamp
    package var why: String
}

extension Planner {
    mutating func tally(_ result: TransactionResult, on session: OpenSession) {
        var taken = false
        var refused = false
        for answer in result.answers {
            guard case .reply(let reply) = answer.answer else { continue }
            if !reply.isPositive { refused = true } else if answer.phase == .dot { taken = true }
        }
        if taken { tallies[session.source].delivered += 1 }
        if refused { tallies[session.source].refused += 1 }
    }
}
