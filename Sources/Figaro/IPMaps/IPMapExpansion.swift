import Delivery
import Mail

/// An ipmap as Delivery uses it, with what only people want to know.
struct ExpandedIPMap: Sendable {
    var map: IPMap
    /// Every source, also those that may not send, in the order of the files.
    var sources: [Described]
    /// How many sources of a pool are to be left by what operators take out of use, by its name.
    var minimumActive: [String: Int]
    /// What is allowed and probably not meant, one line each.
    var warnings: [String]

    struct Described: Sendable {
        var source: Source
        var range: String
        var state: SourceState
        var reason: String?
    }
}

/// Looks names up, expands ranges and checks what only the whole can show.
struct IPMapExpansion {
    /// All ranges together; a source costs some 200 octets, and its memory of sites more.
    private static let totalLimit = 1 << 20

    let declared: IPMapDeclarations
    let problems: Problems
    let hostName: String
    private var sources: [ExpandedIPMap.Described] = []
    private var indexes: [String: [Int]] = [:]
    private var byName: [String: Int] = [:]
    private var byAddress: [IPAddress: Int] = [:]
    private var warnings: [String] = []

    /// - Parameter hostName: the EHLO name of ranges that name none.
    init(_ declared: IPMapDeclarations, hostName: String, problems: Problems) {
        self.declared = declared
        self.hostName = hostName
        self.problems = problems
    }

    /// nil when something was wrong; `problems` says what.
    mutating func expand() -> ExpandedIPMap? {
        // Interfaces come last: an address that a network names as well is the network's.
        for entry in declared.ranges.entries {
            if case .network = entry.value.addresses { add(entry.name, entry.value, at: entry.place) }
        }
        for entry in declared.ranges.entries {
            if case .interface(let name) = entry.value.addresses { add(entry.name, interface: name, at: entry.place) }
        }
        applyStates()
        let pools = self.pools()
        let relays = self.relays(pools)
        let routes = self.routes(pools)
        var sites: [String: IPMap.FixedSite] = [:]
        for entry in declared.sites.entries { sites[entry.name] = entry.value }
        let rules = declared.rules.entries.map(\.value)
        let builtIn = SiteFile.builtIn(problems).filter { declared.rules[$0.name] == nil }
        guard problems.isEmpty else { return nil }
        return ExpandedIPMap(
            map: IPMap(
                pools: pools, routes: routes, relays: relays, sites: sites, rules: rules + builtIn),
            sources: sources,
            minimumActive: Dictionary(
                declared.pools.entries.map { ($0.name, $0.value.minimumActive) },
                uniquingKeysWith: { first, _ in first }),
            warnings: warnings)
    }

    private mutating func add(_ name: String, _ range: RangeDeclaration, at place: Field) {
        guard case .network(let network, let exclude, let onePer, let count) = range.addresses,
            let template = range.ehlo
        else { return }
        do throws(RangeExpansion.Refused) {
            let members = try RangeExpansion.members(of: network, exclude: exclude, onePer: onePer, count: count)
            if members.isEmpty { place.complain("has no address left: all of \(network) is excluded") }
            for member in members {
                if let other = byAddress[member.address].map({ sources[$0] }) {
                    place.complain("\(member.address) is already a source, \(other.source.name) of \(other.range)")
                    return
                }
                let ehlo = template.name(for: member.address, index: member.number)
                guard add(member.source(of: name, ehlo: ehlo), name, place)
                else { return }
            }
        } catch {
            place.complain(error.message)
        }
    }

    private mutating func add(_ name: String, interface: String?, at place: Field) {
        let addresses = interface.map(MachineAddresses.of) ?? MachineAddresses.any()
        if addresses.isEmpty, let interface {
            let known = Set(MachineAddresses.all().map(\.interface)).sorted()
            place.complain(
                "interface \(interface) is not up or has no address\(Nearest.hint(interface, among: known)); "
                    + "this machine has \(known.joined(separator: ", "))")
        }
        let template = declared.ranges[name]?.ehlo
        for (index, address) in addresses.enumerated() where byAddress[address] == nil {
            let ehlo = template?.name(for: address, index: index + 1) ?? hostName
            let member = RangeExpansion.Member(number: index + 1, address: address)
            guard add(member.source(of: name, ehlo: ehlo), name, place) else { return }
        }
    }

    private mutating func add(_ source: Source, _ range: String, _ place: Field) -> Bool {
        if let fault = HostName.fault(in: source.ehlo) {
            place.complain("the EHLO name of \(source.name), “\(source.ehlo)”, is not a valid host name: \(fault)")
            return false
        }
        guard byName[source.name] == nil else {
            place.complain("the source \(source.name) exists already; name one of the two ranges differently")
            return false
        }
        guard sources.count < Self.totalLimit else {
            place.complain("more than \(Self.totalLimit) sources in all ranges together")
            return false
        }
        byName[source.name] = sources.count
        byAddress[source.address] = sources.count
        indexes[range, default: []].append(sources.count)
        sources.append(ExpandedIPMap.Described(source: source, range: range, state: .active))
        return true
    }

    private mutating func applyStates() {
        for entry in declared.sources.entries {
            guard let index = byName[entry.name] else {
                entry.place.complain("no such source\(unknownSource(entry.name))")
                continue
            }
            sources[index].state = entry.value.state
            sources[index].reason = entry.value.reason
        }
    }

    /// Names one range to look at; comparing with each of 65,536 names would help nobody.
    private func unknownSource(_ name: String) -> String {
        let range = name.lastIndex(of: "-").map { String(name[..<$0]) } ?? name
        guard let members = indexes[range], let first = members.first, let last = members.last else {
            return Nearest.hint(range, among: declared.ranges.names)
                + "; a source is named like its range and number, vienna-17 for example"
        }
        return "; \(range) has \(sources[first].source.name) to \(sources[last].source.name)"
    }
}

extension IPMapExpansion {
    private mutating func pools() -> [String: IPMap.Pool] {
        if declared.pools.isEmpty {
            if sources.isEmpty, problems.isEmpty {
                problems.add("no range is declared, so there is nothing to send from")
            }
            return [
                "main": pool(
                    "main",
                    PoolDeclaration(
                        members: [], minimumActive: 0, messagesPerSession: PoolDeclaration.messagesPerSession,
                        cooldown: PoolDeclaration.cooldown), sources.indices.map { $0 })
            ]
        }
        var pools: [String: IPMap.Pool] = [:]
        for entry in declared.pools.entries {
            let members = self.members(of: entry.value)
            pools[entry.name] = pool(entry.name, entry.value, members)
            let sending = pools[entry.name]?.sources.count ?? 0
            if sending == 0, problems.isEmpty { entry.place.complain("has no source that may send") }
            if sending < entry.value.minimumActive {
                warnings.append(
                    "pool \(entry.name): \(sending) sources may send, minimum_active is \(entry.value.minimumActive)")
            }
        }
        return pools
    }

    private func pool(_ name: String, _ declaration: PoolDeclaration, _ members: [Int]) -> IPMap.Pool {
        let sending = members.map { sources[$0] }.filter(\.state.maySend).map(\.source)
        return IPMap.Pool(
            name: name, sources: sending, messagesPerSession: declaration.messagesPerSession,
            cooldown: declaration.cooldown)
    }

    private func members(of pool: PoolDeclaration) -> [Int] {
        var members: [Int] = []
        var seen: [Int: String] = [:]
        for (name, place) in pool.members {
            let found = indexes[name] ?? byName[name].map { [$0] }
            guard let found else {
                // A range that was declared and could not be expanded has been complained about already.
                if declared.ranges[name] == nil {
                    place.complain("no range or source of this name\(Nearest.hint(name, among: declared.ranges.names))")
                }
                continue
            }
            for index in found {
                if let by = seen[index] {
                    place.complain("\(sources[index].source.name) is a member already, by “\(by)”")
                    break
                }
                seen[index] = name
                members.append(index)
            }
        }
        return members
    }
}
