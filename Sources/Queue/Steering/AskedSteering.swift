import Mail

/// Some works that an order is to be carried out on, in one transaction.
struct AskedSteering: Sendable {
    /// A work that is meant.
    struct Target: Sendable {
        var key: WorkKey
        var customer: String
        /// Of it; nil: all.
        var recipients: Set<Address>?
        /// How many that are.
        var count: Int
        /// Its row was held, so that it can be ended.
        var isMarked = false
    }

    var order: SteeringOrder
    var targets: [Target]
    /// Called on the commit thread when it is durable.
    var then: @Sendable (Outcome) -> Void

    /// What came of the targets.
    struct Outcome: Sendable {
        var changed: [Target] = []
        var unchanged: [Target] = []
        /// With Delivery: kept from being tried again where the order stops mail, else left alone.
        var inHand: [Target] = []
    }

    /// nil: nothing is changed about it.
    func change(of target: Target, inHand: Bool, at now: Timestamp) -> Steering.Change? {
        switch order.verb {
        case .release: .release
        case .retry: inHand ? nil : .retry
        case .hold: .hold(Hold(at: now, by: order.by, reason: order.reason))
        case .delete, .bounce:
            inHand
                ? .hold(Hold(at: now, by: order.by, reason: "\(order.verb.rawValue): \(order.reason)"))
                : .end(end(of: target, at: now))
        }
    }

    private func end(of target: Target, at now: Timestamp) -> SteeredEnd {
        let isBounce = order.verb == .bounce
        var end = SteeredEnd(
            how: isBounce ? .failed : .deleted,
            reason: isBounce ? "returned by the administrator of this relay: \(order.reason)" : order.reason,
            recipients: target.recipients, isRelease: target.isMarked)
        if isBounce {
            end.quoted = Refusal(
                host: nil, phase: .resolve, answer: .trouble(.returned, order.reason), cause: .unknown, at: now)
        }
        return end
    }
}

/// The same, when the commit thread has seen which of them it may change.
struct TakenSteering: Sendable {
    let asked: AskedSteering
    /// Those that could not be seized.
    private let hindered: [WorkKey: Ledger.Hindrance]
    /// Those that the transaction changes, in its order.
    var written: [AskedSteering.Target] = []

    init(asked: AskedSteering, hindered: [WorkKey: Ledger.Hindrance]) {
        self.asked = asked
        self.hindered = hindered
    }

    /// It is with Delivery, or what an order that stops mail has to take for that: what may be read at this moment.
    func isInHand(_ key: WorkKey) -> Bool {
        switch hindered[key] {
        case nil: false
        case .withDelivery: true
        case .beingRead: asked.order.verb.stops
        }
    }

    /// Works that were kept from being handed out may be again, and those that were not have a new place. What is with
    /// Delivery stays there.
    func releases(_ results: ArraySlice<Steered>) -> [Cycle.Release] {
        zip(written, results).map { target, result in
            let place = result.due.map {
                Place(customer: target.customer, position: Position(due: $0, message: target.key.message))
            }
            return Cycle.Release(key: target.key, place: place, wasTaken: hindered[target.key] == nil)
        }
    }

    func events(_ results: ArraySlice<Steered>, at now: Timestamp) -> [TraceEvent] {
        let order = asked.order
        return zip(written, results).compactMap { target, result in
            guard result.changed else { return nil }
            let how: TraceEvent.Steered.How
            switch order.verb {
            case .delete, .bounce:
                if let end = result.ended.first {
                    let did = order.verb == .delete ? "deleted" : "bounced"
                    return .ended(
                        TraceEvent.End(
                            message: target.key.message, at: now, recipients: result.ended.map(\.recipient),
                            how: end.how, reason: "\(did) by \(order.by): \(order.reason)"))
                }
                how = .held
            case .hold: how = .held
            case .release: how = .released
            case .retry: how = .retried
            }
            return .steered(
                TraceEvent.Steered(
                    message: target.key.message, at: now, how: how, domain: target.key.domain, by: order.by,
                    reason: order.reason))
        }
    }

    func outcome(_ results: ArraySlice<Steered>) -> AskedSteering.Outcome {
        var outcome = AskedSteering.Outcome()
        let verb = asked.order.verb
        for (target, result) in zip(written, results) {
            if isInHand(target.key) {
                var target = target
                // A second time, when its attempt had not come back after the first.
                target.isMarked = target.isMarked || result.changed
                outcome.inHand.append(target)
                // Only kept from being tried again, for now.
                if verb.ends { continue }
            }
            if result.changed { outcome.changed.append(target) } else { outcome.unchanged.append(target) }
        }
        if verb == .retry { outcome.inHand = asked.targets.filter { isInHand($0.key) } }
        return outcome
    }
}
