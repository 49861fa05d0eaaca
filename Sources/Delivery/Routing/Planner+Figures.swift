package import Mail

/// How much the planner has in hand, for whoever watches.
package struct DeliveryFigures: Sendable, Hashable {
    /// Sessions that carry a message, that wait for one, and that are being opened.
    package var busy = 0
    package var idle = 0
    package var opening = 0
    /// Works (message and recipient domain) in memory.
    package var works = 0
    package var sites = 0
    /// Sites that may not be sent to now, for whatever reason.
    package var blockedSites = 0
    /// Sources that may send, and those of them that could not be bound and are set aside.
    package var sources = 0
    package var unboundSources = 0
    /// Sources that operators took out of use.
    package var heldSources: [StandingOrders.Hold.Kind: Int] = [:]
    /// Receivers that operators keep from mail, by the names that they said.
    package var suspensions = 0
    package var heldCustomers = 0
    /// Paths (source and site) that rest after a refusal of the source, by its cause.
    package var coolingPaths: [Cause: Int] = [:]
    /// Ranges that a receiver turned away, each counted at each.
    package var openBreakers = 0
    /// Why relays are not asked at this moment, by their names; nil of one that is.
    package var relays: [String: String?] = [:]
}

extension Planner {
    package func figures(at now: Timestamp) -> DeliveryFigures {
        var figures = DeliveryFigures()
        figures.works = works
        figures.sites = sites.count
        figures.sources = table.count
        figures.unboundSources = unbound.count { $0.value.until > now && held[$0.key] == nil }
        for hold in held.values { figures.heldSources[hold.kind, default: 0] += 1 }
        figures.suspensions = orders.suspensions.count
        figures.heldCustomers = orders.customers.count
        for site in sites.values {
            figures.opening += site.opening
            figures.idle += site.idle.count
            figures.busy += site.sessions - site.opening - site.idle.count
            if let block = site.blocked, block.until > now { figures.blockedSites += 1 }
        }
        for name in table.relays.keys {
            let state = domains[Self.place(ofRelay: name)]
            let block = [state?.blocked, state?.site?.blocked].compactMap(\.self).first { $0.until > now }
            figures.relays.updateValue(block?.why, forKey: name)
        }
        for receiver in receivers.values {
            for cooldown in receiver.paths.values.lazy.compactMap(\.cooldown) where cooldown.until > now {
                figures.coolingPaths[cooldown.cause, default: 0] += 1
            }
            figures.openBreakers += receiver.ranges.values.count(where: \.isOpen)
        }
        return figures
    }
}
