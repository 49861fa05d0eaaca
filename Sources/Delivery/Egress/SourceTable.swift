import Mail

/// An ip map in the form the planner draws from: sources by number, pools as lists of numbers.
struct SourceTable {
    let sources: [Source]
    let routes: [String: [IPMap.Step]]
    let sites: [String: IPMap.FixedSite]
    let rules: SiteRules
    /// The route of mail from the sender <>.
    let nullRoute: String?
    /// The pool that every fresh message starts with.
    let firstPool: Pool?
    /// IPv4 (true) and IPv6, as far as there are sources.
    let families: Set<Bool>
    private let pools: [String: Pool]
    private let numbers: [String: Int]

    struct Pool {
        var members: [Int]
        var isMember: [Bool]
        var messagesPerSession: Int
    }

    init(_ map: IPMap) {
        var sources: [Source] = []
        var numbers: [String: Int] = [:]
        var pools: [String: Pool] = [:]
        for pool in map.pools.values.sorted(by: { $0.name < $1.name }) {
            var members: [Int] = []
            for source in pool.sources {
                if let known = numbers[source.name] {
                    members.append(known)
                } else {
                    numbers[source.name] = sources.count
                    members.append(sources.count)
                    sources.append(source)
                }
            }
            pools[pool.name] = Pool(members: members, isMember: [], messagesPerSession: max(1, pool.messagesPerSession))
        }
        for (name, pool) in pools {
            var isMember = [Bool](repeating: false, count: sources.count)
            for member in pool.members { isMember[member] = true }
            pools[name]?.isMember = isMember
        }
        self.sources = sources
        self.families = Set(sources.map(\.address.isIPv4))
        self.numbers = numbers
        self.pools = pools
        self.routes = map.routes
        self.sites = map.sites
        self.rules = SiteRules(map.rules)
        self.nullRoute = map.nullRoute.flatMap { map.routes[$0] == nil ? nil : $0 }
        self.firstPool = map.routes["default"]?.first.flatMap { pools[$0.pool] }
    }

    func sources(ofPool name: String) -> Set<String>? {
        pools[name].map { pool in Set(pool.members.map { sources[$0].name }) }
    }

    func number(of name: String) -> Int? { numbers[name] }

    func steps(of route: String) -> [IPMap.Step] { routes[route] ?? routes["default"] ?? [] }

    /// The pool of a step; past the last step it is the last one's.
    func pool(of route: String, step: Int) -> Pool? {
        let steps = steps(of: route)
        guard let last = steps.last else { return nil }
        return pools[step < steps.count ? steps[max(0, step)].pool : last.pool]
    }
}
