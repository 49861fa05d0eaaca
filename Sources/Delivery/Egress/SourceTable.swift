import Mail

/// An ip map in the form the planner draws from: sources by number, pools as lists of numbers.
///
/// A source keeps its number when the map is replaced. Numbers of sources that are gone are given to others once no
/// session uses them.
struct SourceTable {
    private(set) var sources: [Source] = []
    let routes: [String: IPMap.Route]
    let relays: [String: IPMap.Relay]
    let sites: [String: IPMap.FixedSite]
    let rules: SiteRules
    /// Finds the route of a message.
    private(set) var choice: RouteChoice
    /// The pool that every fresh message starts with.
    private(set) var firstPool: Pool?
    /// IPv4 (true) and IPv6, as far as there are sources.
    let families: Set<Bool>
    /// Numbers that were given to another source than before, or to none: what was known of them is forgotten.
    private(set) var renewed: Set<Int> = []
    /// Not one source of any pool may be used.
    private(set) var isOff = false
    private var pools: [String: Pool] = [:]
    /// How long sources rest, by number, where a pool of theirs says so; of two pools the first by name.
    private var cooldowns: [Int: [Timestamp.Span]] = [:]
    private var numbers: [String: Int] = [:]
    private var byAddress: [IPAddress: Int] = [:]

    struct Pool {
        var name: String
        /// Those that may be drawn.
        var members: [Int]
        /// All of them.
        var all: [Int]
        /// By number.
        var isMember: [Bool]
        var messagesPerSession: Int
    }

    init(_ map: IPMap) {
        self.init(map, after: nil, used: [])
    }

    /// - Parameters:
    ///   - old: the table in use until now.
    ///   - used: numbers that sessions hold.
    init(_ map: IPMap, after old: SourceTable?, used: Set<Int>) {
        routes = map.routes
        relays = map.relays
        sites = map.sites
        rules = SiteRules(map.rules)
        choice = RouteChoice(map.routes, assigned: old?.choice.assigned ?? [:])
        families = Set(map.pools.values.lazy.flatMap(\.sources).map(\.address.isIPv4))
        take(map, after: old, used: used)
        restrict(to: { _ in true })
    }

    private mutating func take(_ map: IPMap, after old: SourceTable?, used: Set<Int>) {
        let relays = map.relays.values.map { relay in
            IPMap.Pool(
                name: Self.pool(ofRelay: relay.name), sources: relay.sources,
                messagesPerSession: relay.messagesPerSession)
        }
        let sorted = (map.pools.values + relays).sorted { $0.name < $1.name }
        let wanted = Set(sorted.flatMap(\.sources))
        sources = old?.sources ?? []
        var kept: [Source: Int] = [:]
        for (name, number) in old?.numbers ?? [:] where wanted.contains(sources[number]) && sources[number].name == name
        {
            kept[sources[number]] = number
        }
        let inUse = used.union(kept.values)
        renewed = Set(sources.indices).subtracting(inUse)
        var free = renewed.sorted(by: >)
        for pool in sorted {
            let all = pool.sources.map { source in
                if let number = numbers[source.name] { return number }
                let number = kept[source] ?? free.popLast() ?? sources.count
                if number == sources.count { sources.append(source) } else { sources[number] = source }
                numbers[source.name] = number
                byAddress[source.address] = number
                return number
            }
            pools[pool.name] = Pool(
                name: pool.name, members: all, all: all, isMember: [],
                messagesPerSession: max(1, pool.messagesPerSession))
            guard !pool.cooldown.isEmpty else { continue }
            for number in all where cooldowns[number] == nil { cooldowns[number] = pool.cooldown }
        }
        for (name, pool) in pools {
            var isMember = [Bool](repeating: false, count: sources.count)
            for member in pool.all { isMember[member] = true }
            pools[name]?.isMember = isMember
        }
    }

    /// - Parameter assigned: names of routes, by customer; one that the map does not have counts when it has it.
    mutating func assign(_ assigned: [String: String]) { choice = RouteChoice(routes, assigned: assigned) }

    /// How long a source rests after each refusal in a row; nil where its pools do not say.
    func cooldown(of number: Int) -> [Timestamp.Span]? { cooldowns[number] }

    func sources(ofPool name: String) -> Set<String>? {
        pools[name].map { pool in Set(pool.all.map { sources[$0].name }) }
    }

    /// Draws from those alone that may be used now.
    mutating func restrict(to mayUse: (Int) -> Bool) {
        for (name, pool) in pools { pools[name]?.members = pool.all.filter(mayUse) }
        firstPool = pool(of: "default", step: 0)
        isOff = pools.allSatisfy { $0.value.members.isEmpty || Self.isRelays($0.key) }
    }

    /// Of the sources of the map; nil for one that it does not have.
    func number(of name: String) -> Int? { numbers[name] }

    func number(of address: IPAddress) -> Int? { byAddress[address] }

    /// Numbers of the map's sources, without those that stand for the system's choice.
    var current: [Int] { numbers.values.filter { !sources[$0].isSystemsChoice } }

    /// How many the map has, without those.
    var count: Int { numbers.values.count { !sources[$0].isSystemsChoice } }

    /// Whether the number is a source's that the map has.
    func isCurrent(_ number: Int) -> Bool { numbers[sources[number].name] == number }

    /// A route has more than one step.
    var hasFurtherSteps: Bool { routes.values.contains { $0.steps.count > 1 } }

    /// What a session to a relay is opened from.
    func pool(ofRelay name: String) -> Pool? { pools[Self.pool(ofRelay: name)] }

    func steps(of route: String) -> [IPMap.Step] { (routes[route] ?? routes["default"])?.steps ?? [] }

    /// The step that a message at `step` uses: the next pool with a source that may be used where its own has none; its
    /// own where none has.
    func usable(_ route: String, from step: Int) -> Int {
        let steps = steps(of: route)
        guard step < steps.count, pool(of: steps[max(0, step)])?.members.isEmpty == true else { return step }
        return steps.indices.first { index in
            // What an operator took out of use is no reason for a relay.
            index > step && !steps[index].isRelay && pool(of: steps[index])?.members.isEmpty == false
        } ?? step
    }

    /// The pool of a step, a relay's own included; past the last step it is that of the last one with a pool of
    /// sources, and of those that can be used.
    func pool(of route: String, step: Int) -> Pool? {
        let steps = steps(of: route)
        if step < steps.count { return pool(of: steps[max(0, usable(route, from: step))]) }
        let pools = steps.filter { !$0.isRelay }.compactMap(pool(of:))
        return pools.last { !$0.members.isEmpty } ?? pools.last
    }

    private func pool(of step: IPMap.Step) -> Pool? {
        switch step {
        case .pool(let name, _): pools[name]
        case .relay(let name, _): pools[Self.pool(ofRelay: name)]
        }
    }

    /// No name in a file has a space.
    private static func pool(ofRelay name: String) -> String { "relay \(name)" }

    private static func isRelays(_ pool: String) -> Bool { pool.contains(" ") }
}
