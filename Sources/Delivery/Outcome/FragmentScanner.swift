/// Finds every occurrence of many fragments in one pass over a text (Aho and Corasick, 1975): one table step a byte,
/// however many fragments there are and whatever the text is.
struct FragmentScanner: Sendable {
    /// Bytes that occur in no fragment share class 0, which keeps the table narrow.
    private var classes = [UInt8](repeating: 0, count: 256)
    private var width = 1
    /// Row of a state and class to where the next state's row begins, doubled, plus 1 when fragments end there.
    private var steps: [Int32] = []
    /// Fragments that end in a state: `ends[first[state]..<first[state + 1]]`.
    private var first: [Int32] = []
    private var ends: [Int32] = []
    private let edges: [Edges]

    /// Whether a fragment's ends must be the edges of words: they are letters or digits, and no `~` stands there.
    private struct Edges: Sendable {
        let length: Int32
        let start: Bool
        let end: Bool

        init(_ fragment: ReplyPattern.Fragment) {
            length = Int32(fragment.bytes.count)
            start = !fragment.openStart && fragment.bytes.first.map(ReplyText.isWordByte) ?? false
            end = !fragment.openEnd && fragment.bytes.last.map(ReplyText.isWordByte) ?? false
        }
    }

    init(_ fragments: [ReplyPattern.Fragment]) {
        edges = fragments.map(Edges.init)
        for byte in Set(fragments.flatMap(\.bytes)).sorted() {
            // At most 230: fragments hold no upper-case letters and no control white space but the space.
            classes[Int(byte)] = UInt8(truncatingIfNeeded: width)
            width += 1
        }
        var here = buildTrie(fragments)
        link(&here)
        var total: Int32 = 0
        for state in here {
            first.append(total)
            ends += state
            total += Int32(state.count)
        }
        first.append(total)
        steps = steps.map { state in
            Int32(Int(state) * width * 2 + (here[Int(state)].isEmpty ? 0 : 1))
        }
    }

    /// A tree of the fragments' bytes, with -1 where it does not go on; returns the fragments that end in each state.
    private mutating func buildTrie(_ fragments: [ReplyPattern.Fragment]) -> [[Int32]] {
        var here: [[Int32]] = [[]]
        steps = [Int32](repeating: -1, count: width)
        for (index, fragment) in fragments.enumerated() {
            var state = 0
            for byte in fragment.bytes {
                let place = state * width + Int(classes[Int(byte)])
                if steps[place] < 0 {
                    steps[place] = Int32(here.count)
                    here.append([])
                    steps += [Int32](repeating: -1, count: width)
                }
                state = Int(steps[place])
            }
            here[state].append(Int32(index))
        }
        return here
    }

    /// Fills the gaps with where the longest suffix that is a prefix of some fragment goes on.
    private mutating func link(_ here: inout [[Int32]]) {
        var suffix = [Int](repeating: 0, count: here.count)
        var line: [Int] = []
        for column in 0..<width {
            if steps[column] < 0 { steps[column] = 0 } else { line.append(Int(steps[column])) }
        }
        var index = 0
        while index < line.count {
            let state = line[index]
            index += 1
            here[state] += here[suffix[state]]
            for column in 0..<width {
                let onward = Int(steps[suffix[state] * width + column])
                if steps[state * width + column] < 0 {
                    steps[state * width + column] = Int32(onward)
                } else {
                    let next = Int(steps[state * width + column])
                    suffix[next] = onward
                    line.append(next)
                }
            }
        }
    }

    /// Calls `found` for each fragment that stands in the text at the edges of words it asks for, by where it ends.
    @inline(__always)
    func scan(_ text: [UInt8], found: (_ fragment: Int, _ range: Range<Int>) -> Void) {
        steps.withUnsafeBufferPointer { steps in
            classes.withUnsafeBufferPointer { classes in
                var row = 0
                for (index, byte) in text.enumerated() {
                    let step = Int(steps[row + Int(classes[Int(byte)])])
                    row = step >> 1
                    if step & 1 != 0 { end(in: row / width, at: index + 1, of: text, found) }
                }
            }
        }
    }

    private func end(in state: Int, at end: Int, of text: [UInt8], _ found: (Int, Range<Int>) -> Void) {
        for place in Int(first[state])..<Int(first[state + 1]) {
            let fragment = Int(ends[place])
            let edges = self.edges[fragment]
            let start = end - Int(edges.length)
            if edges.start, start > 0, ReplyText.isWordByte(text[start - 1]) { continue }
            if edges.end, end < text.count, ReplyText.isWordByte(text[end]) { continue }
            found(fragment, start..<end)
        }
    }
}
