import Mail

/// Where a message goes on from after an address was refused: neighbours share their network's fate, so from far away.
extension Planner {
    /// Free sources that are compared; of more than that, as many drawn at random.
    private static let compared = 256

    /// Draws among those that are at least half as far from every refused address as the farthest of them. Always the
    /// farthest would be the ends of the range: they would carry every second attempt of everybody.
    mutating func pickFar(
        from members: [Int], at site: Site, families: Set<Bool>, refused: Set<Int>
    ) -> Int? {
        let addresses = refused.map { table.sources[$0].address }
        let free = sample(members) { planner, source in planner.isFree(source, at: site, families, refused) }
        var distances: [Double] = []
        distances.reserveCapacity(free.count)
        for source in free {
            let own = table.sources[source].address
            distances.append(addresses.lazy.map { own.distance(to: $0) }.min() ?? .infinity)
        }
        guard let farthest = distances.max() else { return nil }
        let far = zip(free, distances).filter { $0.1 >= farthest / 2 }.map(\.0)
        return far.randomElement(using: &random)
    }

    private mutating func sample(_ members: [Int], _ isFree: (Planner, Int) -> Bool) -> [Int] {
        guard members.count > Self.compared else { return members.filter { isFree(self, $0) } }
        var drawn: Set<Int> = []
        for _ in 0..<Self.compared {
            let candidate = members[Int.random(in: 0..<members.count, using: &random)]
            if isFree(self, candidate) { drawn.insert(candidate) }
        }
        // Where most are not free, chance finds none.
        return drawn.isEmpty ? members.filter { isFree(self, $0) } : drawn.sorted()
    }
}

extension IPAddress {
    /// Addresses between two; those of another family are as far away as can be.
    func distance(to other: IPAddress) -> Double {
        guard isIPv4 == other.isIPv4 else { return .infinity }
        let (one, two) = (UInt128(high) << 64 | UInt128(low), UInt128(other.high) << 64 | UInt128(other.low))
        return Double(one > two ? one - two : two - one)
    }
}
