import Mail

/// Which filed works are with Delivery, and how far each domain was read.
///
/// A domain's cursor stands behind every row that was handed out, so a fetch costs the same however many rows wait or
/// are out. Rows behind the cursor come into reach again when they are released: the cursor then steps back to them.
struct Ledger {
    private var domains: [String: Domain] = [:]

    fileprivate struct Domain {
        var handedOut: Set<MessageID> = []
        /// All at or before it was looked at.
        var cursor = Position.start
        var paging = false
        /// The lowest row that came into reach since the page was begun.
        var lowest: Position?
    }

    func isHandedOut(_ key: WorkKey) -> Bool {
        domains[key.domain]?.handedOut.contains(key.message) ?? false
    }

    /// A work is with Delivery; called before its row can be read.
    mutating func claim(_ key: WorkKey) {
        domains[key.domain, default: Domain()].handedOut.insert(key.message)
    }

    /// A work is no longer with Delivery; called after its row was written. nil: it has no row any more.
    mutating func release(_ key: WorkKey, to position: Position?) {
        guard var domain = domains.removeValue(forKey: key.domain) else { return }
        domain.handedOut.remove(key.message)
        if let position { domain.reach(position) }
        if domain.paging || !domain.handedOut.isEmpty { domains[key.domain] = domain }
    }

    /// Where reading goes on. Ended by ``endPage(_:handedOut:cursor:)``.
    mutating func beginPage(_ name: String) -> Position {
        var domain = domains[name] ?? Domain()
        domain.paging = true
        domain.lowest = nil
        domains[name] = domain
        return domain.cursor
    }

    /// Those that may be handed out, in the same order.
    func free(_ positions: [Position], of name: String) -> [Position] {
        guard let handedOut = domains[name]?.handedOut, !handedOut.isEmpty else { return positions }
        return positions.filter { !handedOut.contains($0.message) }
    }

    /// - Parameter cursor: nil when reading failed: the next page starts where this one did.
    /// - Returns: the due time of the lowest row that came into reach meanwhile and may have been missed. The agenda
    ///   must be told of it after it was told what was handed out.
    mutating func endPage(_ name: String, handedOut: [MessageID], cursor: Position?) -> Timestamp? {
        guard var domain = domains.removeValue(forKey: name) else { return nil }
        domain.paging = false
        domain.handedOut.formUnion(handedOut)
        if let cursor { domain.cursor = cursor }
        let lowest = domain.lowest
        if let lowest { domain.reach(lowest) }
        if !domain.handedOut.isEmpty { domains[name] = domain }
        return lowest?.due
    }

    /// A row at `position` was written that is not with Delivery.
    mutating func reach(_ name: String, _ position: Position) {
        domains[name]?.reach(position)
    }
}

extension Ledger.Domain {
    fileprivate mutating func reach(_ position: Position) {
        if paging { lowest = min(lowest ?? position, position) }
        // Just before it: message ids start above zero.
        if cursor >= position { cursor = Position(due: position.due, message: MessageID(value: 0)) }
    }
}
