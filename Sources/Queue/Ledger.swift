import Mail

/// Which filed works are with Delivery, and how far each lane (a customer's mail for a domain) was read.
///
/// A lane's cursor stands behind every row that was handed out, so a fetch costs the same however many rows wait or are
/// out. Rows behind the cursor come into reach again when they are released: the cursor then steps back to them.
struct Ledger {
    private var domains: [String: Domain] = [:]

    fileprivate struct Domain {
        var handedOut: Set<MessageID> = []
        /// All of a customer's rows at or before it were looked at; none where it is missing.
        var cursors: [String: Position] = [:]
        /// The customer whose mail was read last.
        var turn: String?
        var paging = false
        /// The lowest row of each customer that came into reach since the page was begun.
        var lowest: [String: Position] = [:]
    }

    /// What a page goes on from, and how far it came.
    struct Reading {
        var cursors: [String: Position]
        var turn: String?
    }

    /// Works that are with Delivery, or kept from it for a moment.
    var handedOut: Int { domains.values.reduce(0) { $0 + $1.handedOut.count } }

    func isHandedOut(_ key: WorkKey) -> Bool {
        domains[key.domain]?.handedOut.contains(key.message) ?? false
    }

    /// A work is with Delivery; called before its row can be read.
    mutating func claim(_ key: WorkKey) {
        domains[key.domain, default: Domain()].handedOut.insert(key.message)
    }

    /// Why a work cannot be kept from being handed out.
    enum Hindrance {
        case withDelivery
        /// A page of its domain is under way that may have read it, and will have handed it out then.
        case beingRead
    }

    /// Keeps a filed work from being handed out while its row is changed; ended by ``release(_:to:)``.
    ///
    /// - Returns: nil when that is done.
    mutating func seize(_ key: WorkKey) -> Hindrance? {
        domains[key.domain, default: Domain()].seize(key.message)
    }

    /// A work is no longer with Delivery; called after its row was written. nil: it has no row any more.
    mutating func release(_ key: WorkKey, to place: Place?) {
        guard var domain = domains.removeValue(forKey: key.domain) else { return }
        domain.handedOut.remove(key.message)
        if let place { domain.reach(place) }
        if domain.paging || !domain.handedOut.isEmpty { domains[key.domain] = domain }
    }

    /// A row was written that was not seized: it comes into reach. A page that was read meanwhile may have handed it
    /// out, and then it stays so.
    mutating func reach(_ name: String, _ place: Place) {
        domains[name]?.reach(place)
    }

    /// Where reading goes on. Ended by ``endPage(_:handedOut:reading:)``.
    mutating func beginPage(_ name: String) -> Reading {
        var domain = domains[name] ?? Domain()
        domain.paging = true
        domain.lowest = [:]
        domains[name] = domain
        return Reading(cursors: domain.cursors, turn: domain.turn)
    }

    /// Those that may be handed out, in the same order.
    func free(_ positions: [Position], of name: String) -> [Position] {
        guard let handedOut = domains[name]?.handedOut, !handedOut.isEmpty else { return positions }
        return positions.filter { !handedOut.contains($0.message) }
    }

    /// - Parameter reading: nil when reading failed: the next page starts where this one did.
    /// - Returns: the due time of the lowest row that came into reach meanwhile and may have been missed. The agenda
    ///   must be told of it after it was told what was handed out.
    mutating func endPage(_ name: String, handedOut: [MessageID], reading: Reading?) -> Timestamp? {
        guard var domain = domains.removeValue(forKey: name) else { return nil }
        domain.paging = false
        domain.handedOut.formUnion(handedOut)
        if let reading {
            domain.cursors = reading.cursors
            domain.turn = reading.turn
        }
        let lowest = domain.lowest
        for (customer, position) in lowest { domain.reach(Place(customer: customer, position: position)) }
        if !domain.handedOut.isEmpty { domains[name] = domain }
        return lowest.values.map(\.due).min()
    }
}

extension Ledger.Domain {
    fileprivate mutating func seize(_ message: MessageID) -> Ledger.Hindrance? {
        guard !handedOut.contains(message) else { return .withDelivery }
        guard !paging else { return .beingRead }
        handedOut.insert(message)
        return nil
    }

    fileprivate mutating func reach(_ place: Place) {
        let (customer, position) = (place.customer, place.position)
        if paging { lowest[customer] = min(lowest[customer] ?? position, position) }
        // Just before it: message ids start above zero.
        if let cursor = cursors[customer], cursor >= position {
            cursors[customer] = Position(due: position.due, message: MessageID(value: 0))
        }
    }
}

/// A row of a domain: whose it is, and where it stands in that customer's order.
struct Place {
    var customer: String
    var position: Position

    init(customer: String, position: Position) {
        self.customer = customer
        self.position = position
    }

    init(_ message: QueuedMessage, due: Timestamp) {
        customer = message.customer
        position = Position(due: due, message: message.id)
    }
}
