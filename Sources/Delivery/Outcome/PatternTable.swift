/// The patterns of all rules, and what of them stands in a text.
///
/// Patterns that begin alike share their first places: a tree of places, in which each knows the one before it.
struct PatternTable: Sendable {
    /// What a text holds for one rule.
    struct Found: OptionSet, Sendable {
        let rawValue: UInt8
        static let named = Found(rawValue: 1)
        /// One of its `unless`.
        static let barred = Found(rawValue: 2)
    }

    struct Node: Sendable {
        /// -1 for the first place of a pattern.
        var parent: Int32
        let gap: ReplyPattern.Gap
        /// A place after this one must be near to it, so that its latest occurrence counts, not only its first.
        var isFollowedNear = false
        /// Patterns that are complete here: `ends[firstEnd..<lastEnd]`.
        var firstEnd: Int32 = 0
        var lastEnd: Int32 = 0
        /// The nodes after it: `firstChild..<lastChild`.
        var firstChild: Int32 = 0
        var lastChild: Int32 = 0
    }

    struct End: Sendable {
        let rule: Int32
        let found: Found
    }

    /// Of 64 nodes in a row, those at which a fragment may stand.
    struct Use: Sendable {
        let block: Int32
        let nodes: UInt64
    }

    let scanner: FragmentScanner
    /// Those without a parent come first, and the children of one stand beside one another.
    let nodes: [Node]
    /// How many have no parent.
    let roots: Int
    let ends: [End]
    /// Where a fragment may stand: `uses[firstUse[fragment]..<firstUse[fragment + 1]]`.
    let firstUse: [Int32]
    let uses: [Use]

    /// What stands in a text, by rule.
    ///
    /// Fragments come by where they end, so that taking each as early as it fits finds a pattern if it is there.
    func find(_ words: [UInt8], rules: Int) -> [Found] {
        var found = [Found](repeating: [], count: rules)
        guard !nodes.isEmpty else { return found }
        let blocks = (nodes.count + 63) / 64
        found.withUnsafeMutableBufferPointer { found in
            withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * blocks) { bits in
                bits.initialize(repeating: 0)
                withUnsafeTemporaryAllocation(of: PatternSearch.Reached.self, capacity: nodes.count) { reached in
                    search(
                        words,
                        PatternSearch.State(
                            live: UnsafeMutableBufferPointer(rebasing: bits[..<blocks]),
                            seen: UnsafeMutableBufferPointer(rebasing: bits[blocks...]), reached: reached, found: found)
                    )
                }
            }
        }
        return found
    }

    private func search(_ words: [UInt8], _ state: PatternSearch.State) {
        nodes.withUnsafeBufferPointer { nodes in
            ends.withUnsafeBufferPointer { ends in
                firstUse.withUnsafeBufferPointer { firstUse in
                    uses.withUnsafeBufferPointer { uses in
                        let search = PatternSearch(nodes: nodes, ends: ends, state: state)
                        search.expect(0..<roots)
                        scanner.scan(words) { hit in
                            let first = Int(firstUse[hit.fragment])
                            let last = Int(firstUse[hit.fragment &+ 1])
                            for use in first..<last { search.note(hit, at: uses[use]) }
                        }
                    }
                }
            }
        }
    }

    /// What finding takes for a text: occurrences of fragments, and blocks of places that are looked at for them.
    func cost(of words: [UInt8]) -> (hits: Int, looks: Int) {
        var cost = (hits: 0, looks: 0)
        scanner.scan(words) { hit in
            cost.hits += 1
            cost.looks += Int(firstUse[hit.fragment + 1] - firstUse[hit.fragment])
        }
        return cost
    }
}
