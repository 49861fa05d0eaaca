package import Mail
package import Queue

/// What the planner wants done; the engine's hands do it and report back with an event.
package enum PlannerAction: Sendable {
    /// Find the hosts of this domain; `resolved` follows.
    case resolve(HostQuery)
    /// Open a session; `opened` or `failed` follows. Boxed: the others are small, and every message makes some of them.
    indirect case open(SessionPlan)
    /// Send on an open session; `finished` follows.
    case send(SessionID, Transaction)
    /// Say QUIT on an idle session.
    case close(SessionID)
    /// Tell the queue what came of works.
    case settle([Settlement])
    /// Ask the queue for due works; `fetched` follows.
    case fetch(domain: String, limit: Int)
    /// The domain cannot be sent to before then.
    case postpone(domain: String, until: Timestamp)
    case trace(TraceEvent)
    /// Keep this over restarts.
    case remember([PathRow])
    /// For the operator's log.
    case log(PlannerNote)
    /// Hold all that waits of a customer. New: it has just used up its burn budget, and the order is to be kept.
    indirect case hold(customer: String, StandingOrders.Order, isNew: Bool)
}

/// What to ask the resolver for one recipient domain.
package enum HostQuery: Sendable, Hashable {
    /// The hosts that take the domain's mail.
    case mail(domain: String)
    /// The addresses of the host that the ip map fixes for this domain.
    case host(String, domain: String)

    package var domain: String {
        switch self {
        case .mail(let domain), .host(_, let domain): domain
        }
    }
}
