extension PatternTable {
    /// Gathers patterns until the table is made of them.
    struct Builder {
        private struct Key: Hashable {
            let parent: Int32
            let gap: ReplyPattern.Gap
            let fragments: [Int32]
        }

        /// Words that are not read where they are labels of a host name.
        let plain: Set<[UInt8]>
        private var fragments: [ReplyPattern.Fragment] = []
        private var numbers: [ReplyPattern.Fragment: Int32] = [:]
        private var nodes: [Node] = []
        private var nodeNumbers: [Key: Int32] = [:]
        private var ends: [[End]] = []
        private var uses: [[Int32]] = []
        /// Bytes of all fragments and places at which they may stand.
        private(set) var size = 0

        init(plain: [String]) {
            self.plain = Set(plain.map(ReplyText.normalize))
        }

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
            let order = order()
            var places = [Int](repeating: 0, count: nodes.count)
            for (place, node) in order.enumerated() { places[node] = place }
            var ends: [End] = []
            let nodes = ordered(order, places, &ends)
            var firstUse: [Int32] = [0]
            var blocks: [Use] = []
            for use in uses {
                var bits: [Int32: UInt64] = [:]
                for place in use.lazy.map({ places[Int($0)] }) {
                    bits[Int32(place / 64), default: 0] |= 1 << UInt64(place % 64)
                }
                for (block, nodes) in bits.sorted(by: { $0.key < $1.key }) {
                    blocks.append(Use(block: block, nodes: nodes))
                }
                firstUse.append(Int32(blocks.count))
            }
            return PatternTable(
                scanner: FragmentScanner(fragments, plain: plain), nodes: nodes,
                roots: nodes.prefix { $0.parent < 0 }.count, ends: ends,
                firstUse: firstUse, uses: blocks)
        }

        /// Those without a parent first, then the children of each in turn.
        private func order() -> [Int] {
            var order: [Int] = []
            var children = [[Int]](repeating: [], count: nodes.count)
            for (index, node) in nodes.enumerated() {
                if node.parent < 0 { order.append(index) } else { children[Int(node.parent)].append(index) }
            }
            var index = 0
            while index < order.count {
                order += children[order[index]]
                index += 1
            }
            return order
        }

        /// The nodes in that order, with their parents, children and the patterns that end at them.
        private func ordered(_ order: [Int], _ places: [Int], _ all: inout [End]) -> [Node] {
            var ordered: [Node] = []
            for (place, index) in order.enumerated() {
                var node = nodes[index]
                node.firstEnd = Int32(all.count)
                all += ends[index]
                node.lastEnd = Int32(all.count)
                if node.parent >= 0 {
                    node.parent = Int32(places[Int(node.parent)])
                    let parent = Int(node.parent)
                    if ordered[parent].lastChild == 0 { ordered[parent].firstChild = Int32(place) }
                    ordered[parent].lastChild = Int32(place + 1)
                }
                ordered.append(node)
            }
            return ordered
        }
    }
}
