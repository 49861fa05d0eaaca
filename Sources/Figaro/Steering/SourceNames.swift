import Delivery
import Mail

/// Finds the sources that a person means: by address, CIDR, name, range or pool.
struct SourceNames {
    private let map: ExpandedIPMap
    /// Addresses that orders are about although the map no longer has them.
    private let strays: [IPAddress]

    /// Why a word means no source, for the person who wrote it.
    struct Unknown: Error {
        var description: String
    }

    init(_ map: ExpandedIPMap, strays: [IPAddress] = []) {
        self.map = map
        self.strays = strays
    }

    /// Each source once, in the order of the map.
    func addresses(_ words: [String]) throws(Unknown) -> [IPAddress] {
        var found: Set<IPAddress> = []
        for word in words { found.formUnion(try addresses(word)) }
        let known = map.sources.map(\.source.address).filter(found.contains)
        return known + found.subtracting(known).sorted()
    }

    private func addresses(_ word: String) throws(Unknown) -> [IPAddress] {
        if let network = IPNetwork(word) {
            let all = (map.sources.map(\.source.address) + strays).filter(network.contains)
            guard !all.isEmpty else { throw Unknown(description: "no source of the ip map has the address \(word)") }
            return all
        }
        let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
        if parts.count == 2, parts[0] == "range" { return try range(parts[1]) }
        if parts.count == 2, parts[0] == "pool" { return try pool(parts[1]) }
        if let source = map.sources.first(where: { $0.source.name == word }) { return [source.source.address] }
        switch (ranges.contains(word), map.map.pools[word] != nil) {
        case (true, true):
            let (inRange, inPool) = (try range(word), try pool(word))
            if Set(inRange) == Set(inPool) { return inRange }
            throw Unknown(description: "\(word) is a range and a pool; say range:\(word) or pool:\(word)")
        case (true, false): return try range(word)
        case (false, true): return try pool(word)
        case (false, false):
            let hint = Nearest.hint(word, among: Array(ranges) + map.map.pools.keys)
            throw Unknown(description: "no source, range or pool is called “\(word)”\(hint)")
        }
    }

    private var ranges: Set<String> { Set(map.sources.map(\.range)) }

    private func range(_ name: String) throws(Unknown) -> [IPAddress] {
        let members = map.sources.filter { $0.range == name }.map(\.source.address)
        guard !members.isEmpty else {
            throw Unknown(description: "no range is called “\(name)”\(Nearest.hint(name, among: Array(ranges)))")
        }
        return members
    }

    private func pool(_ name: String) throws(Unknown) -> [IPAddress] {
        guard let pool = map.map.pools[name] else {
            throw Unknown(
                description: "no pool is called “\(name)”\(Nearest.hint(name, among: Array(map.map.pools.keys)))")
        }
        return pool.sources.map(\.address)
    }
}
