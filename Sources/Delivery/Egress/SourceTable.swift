import Mail

/// An ip map in the form the planner draws from: sources by number, pools as lists of numbers.
///
/// A source keeps its number when the map is replaced. Numbers of sources that are gone are given to others once no
/// session uses them.
struct SourceTable {
    private(set) var sources: [Source] = []
    let routes: [String: [IPMap.Step]]
    let sites: [String: IPMap.FixedSite]
    let rules: SiteRules
    /// The route of mail from the sender <>.
    let nullRoute: String?
    /// The pool that every fresh message starts with.
    private(set) var firstPool: Pool?
    /// IPv4 (true) and IPv6, as far as there are sources.
    let families: Set<Bool>
    /// Numbers that were given to another source than before, or to none: what was known of them is forgotten.
    private(set) var renewed: Set<Int> = []
    /// Not one source of any pool may be used.
    private(set) var isOff = false
    private var pools: [String: Pool] = [:]
    private var numbers: [String: Int] = [:]

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
        sites = map.sites
        rules = SiteRules(map.rules)
        nullRoute = map.nullRoute.flatMap { map.routes[$0] == nil ? nil : $0 }
        families = Set(map.pools.values.lazy.flatMap(\.sources).map(\.address.isIPv4))
        take(map, after: old, used: used)
        restrict(to: { _ in true })
    }

    private mutating func take(_ map: IPMap, after old: SourceTable?, used: Set<Int>) {
        let sorted = map.pools.values.sorted { $0.name < $1.name }
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
                return number
            }
            pools[pool.name] = Pool(
                name: pool.name, members: all, all: all, isMember: [],
                messagesPerSession: max(1, pool.messagesPerSession))
        }
        for (name, pool) in pools {
            var isMember = [Bool](repeating: false, count: sources.count)
            for member in pool.all { isMember[member] = true }
            pools[name]?.isMember = isMember
        }
    }

    func sources(ofPool name: String) -> Set<String>? {
        pools[name].map { pool in Set(pool.all.map { sources[$0].name }) }
    }

    /// Draws from those alone that may be used now.
    mutating func restrict(to mayUse: (Int) -> Bool) {
        for (name, pool) in pools { pools[name]?.members = pool.all.filter(mayUse) }
        firstPool = pool(of: "default", step: 0)
        isOff = pools.values.allSatisfy(\.members.isEmpty)
    }

    /// Of the sources of the map; nil for one that it does not have.
    func number(of name: String) -> Int? { numbers[name] }

    /// Numbers of the map's sources.
    var current: [Int] { Array(numbers.values) }

    /// How many the map has.
    var count: Int { numbers.count }

    /// Whether the number is a source's that the map has.
    func isCurrent(_ number: Int) -> Bool { numbers[sources[number].name] == number }

    func steps(of route: String) -> [IPMap.Step] { routes[route] ?? routes["default"] ?? [] }

    /// The step that a message at `step` uses: the next one with a source that may be used where its own has none; its
    /// own where none has.
    func usable(_ route: String, from step: Int) -> Int {
        let steps = steps(of: route)
        guard step < steps.count, pools[steps[max(0, step)].pool]?.members.isEmpty == true else { return step }
        return steps.indices.first { $0 > step && pools[steps[$0].pool]?.members.isEmpty == false } ?? step
    }

    /// The pool of a step; past the last step it is the last one's that can be used.
    func pool(of route: String, step: Int) -> Pool? {
        let steps = steps(of: route)
        guard let last = steps.last else { return nil }
        if step < steps.count { return pools[steps[max(0, usable(route, from: step))].pool] }
        let lastUsable = steps.last { pools[$0.pool]?.members.isEmpty == false } ?? last
        return pools[lastUsable.pool]
    }

}
