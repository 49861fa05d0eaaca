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

    private struct Node: Sendable {
        /// -1 for the first place of a pattern.
        let parent: Int32
        let gap: ReplyPattern.Gap
        /// A place after this one must be near to it, so that its latest occurrence counts, not only its first.
        var isFollowedNear = false
        /// Patterns that are complete here: `ends[firstEnd..<lastEnd]`.
        var firstEnd: Int32 = 0
        var lastEnd: Int32 = 0
    }

    private struct End: Sendable {
        let rule: Int32
        let found: Found
    }

    /// A node at which a fragment may stand; with its parent, since most of them are not yet reached.
    private struct Use: Sendable {
        let node: Int32
        let parent: Int32
    }

    private let scanner: FragmentScanner
    private let nodes: [Node]
    private let ends: [End]
    /// Where a fragment may stand: `uses[firstUse[fragment]..<firstUse[fragment + 1]]`.
    private let firstUse: [Int32]
    private let uses: [Use]

    /// Where a place was found: its first occurrence and its last two, since the last may overlap what comes next.
    private struct Reached {
        let first: Int32
        var last: (end: Int32, words: Int32)
        var before: (end: Int32, words: Int32)

        @inline(__always)
        func allows(_ gap: ReplyPattern.Gap, _ hit: FragmentScanner.Hit) -> Bool {
            if gap == .any { return first <= hit.start }
            let from = last.end <= hit.start ? last : before
            guard from.end <= hit.start else { return false }
            let words = hit.wordsAtStart - from.words
            return gap == .near ? words <= Int32(ReplyPattern.nearWords + 1) : words == 1
        }
    }

    /// How far a place has come; what is done need not be looked at again.
    private enum Stage: UInt8 {
        case open, followed, done
    }

    /// What stands in a text, by rule.
    ///
    /// Fragments come by where they end, so that taking each as early as it fits finds a pattern if it is there.
    func find(_ words: [UInt8], rules: Int) -> [Found] {
        var found = [Found](repeating: [], count: rules)
        guard !nodes.isEmpty else { return found }
        found.withUnsafeMutableBufferPointer { found in
            withUnsafeTemporaryAllocation(of: Stage.self, capacity: nodes.count) { stages in
                stages.initialize(repeating: .open)
                withUnsafeTemporaryAllocation(of: Reached.self, capacity: nodes.count) { reached in
                    firstUse.withUnsafeBufferPointer { firstUse in
                        uses.withUnsafeBufferPointer { uses in
                            nodes.withUnsafeBufferPointer { nodes in
                                scanner.scan(words) { hit in
                                    let first = Int(firstUse[hit.fragment])
                                    let last = Int(firstUse[hit.fragment + 1])
                                    for use in first..<last {
                                        let (index, parent) = (Int(uses[use].node), Int(uses[use].parent))
                                        if stages[index] == .done { continue }
                                        if parent >= 0, stages[parent] == .open { continue }
                                        note(hit, at: index, nodes, stages, reached, found)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return found
    }

    /// Notes that the fragment stands at a node whose parent is reached, if there is one.
    @inline(__always)
    private func note(
        _ hit: FragmentScanner.Hit, at index: Int, _ nodes: UnsafeBufferPointer<Node>,
        _ stages: UnsafeMutableBufferPointer<Stage>, _ reached: UnsafeMutableBufferPointer<Reached>,
        _ found: UnsafeMutableBufferPointer<Found>
    ) {
        let node = nodes[index]
        let parent = Int(node.parent)
        if parent >= 0 {
            guard reached[parent].allows(node.gap, hit) else { return }
        }
        let here = (end: hit.end, words: hit.wordsAtEnd)
        if stages[index] == .followed {
            reached[index].before = reached[index].last
            reached[index].last = here
            return
        }
        stages[index] = node.isFollowedNear ? .followed : .done
        // No end lies before a text's first byte, so this one never counts as an occurrence.
        reached.initializeElement(at: index, to: Reached(first: hit.end, last: here, before: (end: .max, words: 0)))
        for end in Int(node.firstEnd)..<Int(node.lastEnd) { found[Int(ends[end].rule)].insert(ends[end].found) }
    }
}

extension PatternTable {
    /// Gathers patterns until the table is made of them.
    struct Builder {
        private struct Key: Hashable {
            let parent: Int32
            let gap: ReplyPattern.Gap
            let fragments: [Int32]
        }

        private var fragments: [ReplyPattern.Fragment] = []
        private var numbers: [ReplyPattern.Fragment: Int32] = [:]
        private var nodes: [Node] = []
        private var nodeNumbers: [Key: Int32] = [:]
        private var ends: [[End]] = []
        private var uses: [[Int32]] = []
        /// Bytes of all fragments and places at which they may stand.
        private(set) var size = 0

        mutating func add(_ pattern: ReplyPattern, of rule: Int, bars: Bool) {
            var parent: Int32 = -1
            for (index, place) in pattern.places.enumerated() {
                let next = index + 1 < pattern.places.count ? pattern.places[index + 1].gap : .any
                parent = node(for: place, after: parent, isFirst: index == 0)
                if next != .any { nodes[Int(parent)].isFollowedNear = true }
            }
            ends[Int(parent)].append(End(rule: Int32(rule), found: bars ? .barred : .named))
        }

        private mutating func node(for place: ReplyPattern.Place, after parent: Int32, isFirst: Bool) -> Int32 {
            // Nothing stands before the first place that a gap could be measured from.
            let gap = isFirst ? .any : place.gap
            var numbers: [Int32] = []
            for fragment in place.fragments { numbers.append(number(fragment)) }
            let key = Key(parent: parent, gap: gap, fragments: numbers.sorted())
            if let known = nodeNumbers[key] { return known }
            let node = Int32(nodes.count)
            nodeNumbers[key] = node
            nodes.append(Node(parent: parent, gap: gap))
            ends.append([])
            for fragment in key.fragments { uses[Int(fragment)].append(node) }
            size += key.fragments.count
            return node
        }

        private mutating func number(_ fragment: ReplyPattern.Fragment) -> Int32 {
            if let known = numbers[fragment] { return known }
            let new = Int32(fragments.count)
            numbers[fragment] = new
            fragments.append(fragment)
            uses.append([])
            size += fragment.bytes.count
            return new
        }

        func table() -> PatternTable {
            var nodes = nodes
            var all: [End] = []
            for (index, own) in ends.enumerated() {
                nodes[index].firstEnd = Int32(all.count)
                all += own
                nodes[index].lastEnd = Int32(all.count)
            }
            var firstUse: [Int32] = [0]
            for use in uses { firstUse.append((firstUse.last ?? 0) + Int32(use.count)) }
            return PatternTable(
                scanner: FragmentScanner(fragments), nodes: nodes, ends: all, firstUse: firstUse,
                uses: uses.flatMap { $0 }.map { Use(node: $0, parent: nodes[Int($0)].parent) })
        }
    }

    /// What finding takes for a text: occurrences of fragments, and places that are looked at for them.
    func cost(of words: [UInt8]) -> (hits: Int, looks: Int) {
        var cost = (hits: 0, looks: 0)
        scanner.scan(words) { hit in
            cost.hits += 1
            cost.looks += Int(firstUse[hit.fragment + 1] - firstUse[hit.fragment])
        }
        return cost
    }
}
