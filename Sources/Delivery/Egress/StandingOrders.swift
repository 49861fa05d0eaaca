package import Mail

/// What operators ordered while the relay runs, on top of what its files say: which sources rest, which receivers
/// get nothing, and whose mail is held. The planner takes it as a whole; what is over counts no more.
package struct StandingOrders: Sendable, Hashable {
    /// By the source's address, so that a reload which renames a source changes nothing.
    package var holds: [IPAddress: Hold] = [:]
    /// By a name of the receiver: that of its rule, of one of its hosts, or a recipient domain.
    package var suspensions: [String: Order] = [:]

    /// By name: nothing of these customers is delivered, what they send is kept.
    package var customers: [String: Order] = [:]

    package init() {}

    /// Who wants it, why, and for how long.
    package struct Order: Sendable, Hashable {
        package var by: String
        package var reason: String
        package var since: Timestamp
        /// nil: until it is taken back.
        package var until: Timestamp?
        /// nil: nobody is to be told of it any more.
        package var notice: Notice?

        /// What the postmaster is still to be told of it.
        package enum Notice: Sendable, Hashable {
            case due
            /// By this message; whether it is in safe keeping is not known yet.
            case made(MessageID)
        }

        package init(by: String, reason: String, since: Timestamp, until: Timestamp? = nil) {
            self.by = by
            self.reason = reason
            self.since = since
            self.until = until
        }

        package func isOver(at now: Timestamp) -> Bool { (until ?? .distantFuture) <= now }
    }

    /// A source that nothing new is begun from.
    package struct Hold: Sendable, Hashable {
        package enum Kind: String, Sendable, Hashable, CaseIterable {
            /// What is open or being opened carries the message it has or was opened for.
            case draining
            /// A message on the wire ends; nothing else begins.
            case disabled
        }

        package var kind: Kind
        package var order: Order

        package init(kind: Kind, order: Order) {
            self.kind = kind
            self.order = order
        }
    }

    package var isEmpty: Bool { holds.isEmpty && suspensions.isEmpty && customers.isEmpty }

    /// When the first of it is over by itself; nil when none ever is.
    package var nextEnd: Timestamp? {
        let orders = [holds.values.map(\.order), Array(suspensions.values), Array(customers.values)].joined()
        return orders.lazy.compactMap(\.until).min()
    }

    /// Without what is over.
    package func inForce(at now: Timestamp) -> StandingOrders {
        var left = self
        left.holds = holds.filter { !$0.value.order.isOver(at: now) }
        left.suspensions = suspensions.filter { !$0.value.isOver(at: now) }
        left.customers = customers.filter { !$0.value.isOver(at: now) }
        return left
    }
}
