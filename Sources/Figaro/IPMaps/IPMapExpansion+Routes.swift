import Delivery
import Mail
import SMTP

/// Relays and routes.
extension IPMapExpansion {
    func relays(_ pools: [String: IPMap.Pool]) -> [String: IPMap.Relay] {
        var relays: [String: IPMap.Relay] = [:]
        for entry in declared.relays.entries {
            var relay = entry.value.relay
            relay.name = entry.name
            relay.sources = sources(of: entry.name, entry.value.pool, pools)
            if let username = entry.value.username, let password = entry.value.passwordFile.flatMap(PasswordFile.read) {
                relay.login = Login(username: username, password: password)
            }
            relays[entry.name] = relay
        }
        return relays
    }

    /// A relay knows its customers by their passwords, not by their addresses, so the system chooses one; a relay that
    /// goes by the address has a pool.
    private func sources(of relay: String, _ pool: Field?, _ pools: [String: IPMap.Pool]) -> [Source] {
        guard let pool else {
            return [
                Source(name: "relay-\(relay)", address: IPAddress(v4: 0), ehlo: hostName),
                Source(name: "relay-\(relay)-6", address: IPAddress(high: 0, low: 0), ehlo: hostName),
            ]
        }
        guard let name = pool.string("the name of a pool") else { return [] }
        guard let found = pools[name] else {
            pool.complain("no pool “\(name)”\(Nearest.hint(name, among: Array(pools.keys)))")
            return []
        }
        return found.sources
    }

    func routes(_ pools: [String: IPMap.Pool]) -> [String: IPMap.Route] {
        var routes: [String: IPMap.Route] = [:]
        var conditions: [IPMap.Condition: (name: String, place: Field)] = [:]
        for entry in declared.routes.entries {
            for (index, step) in entry.value.steps.enumerated() {
                check(step, isFirst: index == 0, isLast: index == entry.value.steps.count - 1, pools)
            }
            check(entry.value.when, of: entry.name, entry.place, &conditions)
            routes[entry.name] = IPMap.Route(
                entry.value.steps.map(\.step), when: entry.value.when?.condition ?? IPMap.Condition(),
                place: entry.place.place)
        }
        if routes["default"] == nil, problems.isEmpty {
            if let only = pools["main"] ?? (pools.count == 1 ? pools.values.first : nil) {
                routes["default"] = [IPMap.Step(pool: only.name, budget: 4)]
            } else {
                problems.add("there are pools but no route “default”, and none of the pools is named “main”")
            }
        }
        return routes
    }

    private func check(
        _ step: StepDeclaration, isFirst: Bool, isLast: Bool, _ pools: [String: IPMap.Pool]
    ) {
        switch step.step {
        case .pool(let name, _):
            guard pools[name] == nil, declared.pools[name] == nil else { return }
            step.place.complain("no pool “\(name)”\(Nearest.hint(name, among: Array(pools.keys)))")
        case .relay(let name, _):
            if declared.relays[name] == nil {
                step.place.complain("no relay “\(name)”\(Nearest.hint(name, among: declared.relays.names))")
            }
            if !isLast {
                step.place.complain("a relay is the last step of a route; what comes after it is never reached")
            }
            if isFirst, declared.relays[name]?.relay.scoreLimit != nil {
                step.place.complain(
                    "relay “\(name)” has a score_limit, so what is over it needs a step with a pool before the relay")
            }
        }
    }

    private func check(
        _ when: (condition: IPMap.Condition, place: Field)?, of name: String, _ key: Field,
        _ known: inout [IPMap.Condition: (name: String, place: Field)]
    ) {
        guard let when else {
            if name != "default" {
                key.complain(
                    "needs “when”: all but the route “default” are for something; { customer: acme }, or named for "
                        + "customers whose accounts name it")
            }
            return
        }
        if name == "default" {
            when.place.complain("the route “default” is for everything that no other route is for")
        } else if when.condition.isEmpty {
            return
        } else if let first = known[when.condition] {
            when.place.complain("is for the same mail as the route “\(first.name)”, in \(first.place.place)")
        } else {
            known[when.condition] = (name, when.place)
        }
    }
}
