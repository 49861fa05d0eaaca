/// How far one text has come among the patterns of a ``PatternTable``.
///
/// Which nodes matter at all is a bit each, so that an occurrence of a word that stands in a hundred patterns costs a
/// look at a dozen blocks of bits and one at each node that waits for it.
struct PatternSearch {
    typealias Node = PatternTable.Node

    /// Where a place was found: its first occurrence and its last two, since the last may overlap what comes next.
    struct Reached {
        let first: Int32
        var last: (end: Int32, words: Int32)
        var before: (end: Int32, words: Int32)

        @inline(__always)
        func allows(_ gap: ReplyPattern.Gap, _ hit: FragmentScanner.Hit) -> Bool {
            if gap == .any { return first <= hit.start }
            let from = last.end <= hit.start ? last : before
            guard from.end <= hit.start else { return false }
            let words = hit.wordsAtStart &- from.words
            return gap == .near ? words <= Int32(ReplyPattern.nearWords + 1) : words == 1
        }
    }

    /// What changes while a text is read.
    struct State {
        /// A bit a node: its parent was found, if it has one, and another occurrence of its own matters.
        let live: UnsafeMutableBufferPointer<UInt64>
        /// A bit a node: it was found.
        let seen: UnsafeMutableBufferPointer<UInt64>
        /// By node; without a value until it is found.
        let reached: UnsafeMutableBufferPointer<Reached>
        /// By rule.
        let found: UnsafeMutableBufferPointer<PatternTable.Found>
    }

    let nodes: UnsafeBufferPointer<Node>
    let ends: UnsafeBufferPointer<PatternTable.End>
    let state: State

    /// Lets nodes of which the places before them were found wait for their own.
    func expect(_ nodes: Range<Int>) {
        var node = nodes.lowerBound
        while node < nodes.upperBound {
            let end = min((node | 63) &+ 1, nodes.upperBound)
            state.live[node >> 6] |= (UInt64.max >> UInt64(64 &- (end &- node))) << UInt64(node & 63)
            node = end
        }
    }

    /// Notes that a fragment stands at those of its nodes that wait for it.
    @inline(__always)
    func note(_ hit: FragmentScanner.Hit, at use: PatternTable.Use) {
        let block = Int(use.block)
        var waiting = use.nodes & state.live[block]
        while waiting != 0 {
            note(hit, at: block &* 64 &+ waiting.trailingZeroBitCount)
            waiting &= waiting &- 1
        }
    }

    @inline(__always)
    private func note(_ hit: FragmentScanner.Hit, at index: Int) {
        let node = nodes[index]
        if node.parent >= 0 {
            guard state.reached[Int(node.parent)].allows(node.gap, hit) else { return }
        }
        let here = (end: hit.end, words: hit.wordsAtEnd)
        let block = index >> 6
        let bit = UInt64(1) << UInt64(index & 63)
        if state.seen[block] & bit != 0 {
            state.reached[index].before = state.reached[index].last
            state.reached[index].last = here
            return
        }
        state.seen[block] |= bit
        if !node.isFollowedNear { state.live[block] &= ~bit }
        // No end lies before a text's first byte, so this one never counts as an occurrence.
        state.reached.initializeElement(
            at: index, to: Reached(first: hit.end, last: here, before: (end: .max, words: 0)))
        expect(Int(node.firstChild)..<Int(node.lastChild))
        for end in Int(node.firstEnd)..<Int(node.lastEnd) { state.found[Int(ends[end].rule)].insert(ends[end].found) }
    }
}
