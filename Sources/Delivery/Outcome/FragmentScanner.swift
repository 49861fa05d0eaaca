/// Finds every occurrence of many fragments in one pass over a text (Aho and Corasick, 1975): at most two steps a byte,
/// however many fragments there are and whatever the text is.
///
/// States lie in the order of their distance from the root, so that the children of one stand beside one another: a
/// state takes a dozen bytes, and thousands of fragments stay in the processor's cache. Those with many children have a
/// row with the next state for every byte.
///
/// There are two roots. From the first one every fragment can begin: it is where a word may begin. The second one is
/// inside of a word, where only those with `~` before them begin, so that most of a text is passed over there.
struct FragmentScanner: Sendable {
    struct State {
        /// Children are `firstChild..<` the next state's.
        var firstChild: Int32 = 0
        /// The state of the longest proper suffix that begins some fragment.
        var suffix: Int32 = 0
        /// Where its row begins; -1 without one.
        var row: Int32 = -1
        /// Fragments that end here: `ends[firstEnd..<` the next state's.
        var firstEnd: Int32 = 0
    }

    /// One of a fragment's occurrences.
    struct Hit {
        let fragment: Int
        let start: Int32
        let end: Int32
        /// Words before start and end, counted as ``ReplyText/advance(_:after:)`` says.
        let wordsAtStart: Int32
        let wordsAtEnd: Int32
    }

    struct Shape: Sendable {
        let length: Int32
        let words: Int32
        /// Whether its end must be the edge of a word: it is a letter or digit, and no `~` stands there.
        let edgeAtEnd: Bool
        /// Whether it says nothing as a label of a host name.
        let isPlain: Bool

        init(_ fragment: ReplyPattern.Fragment, isPlain: Bool) {
            self.isPlain = isPlain
            length = Int32(fragment.bytes.count)
            edgeAtEnd = !fragment.openEnd && fragment.bytes.last.map(ReplyText.isWordByte) ?? false
            var words: Int32 = 0
            var before: UInt8 = 0
            for byte in fragment.bytes {
                words += ReplyText.advance(byte, after: before)
                before = byte
            }
            self.words = words
        }
    }

    /// Bytes that occur in no fragment share class 0, those of them that make up words class 1: that keeps rows narrow.
    private(set) var classes = (UInt8.min...UInt8.max).map { ReplyText.isWordByte($0) ? UInt8(1) : 0 }
    private(set) var width = 2
    private(set) var states: [State] = []
    /// By which byte a state is reached from its parent.
    private(set) var labels: [UInt8] = []
    private(set) var rows: [Int32] = []
    /// How a state is written in rows and suffixes: its number, or where its row begins, with the signs below.
    private(set) var codes: [Int32] = []
    private(set) var ends: [Int32] = []
    let shapes: [Shape]

    /// With more children than this a state gets a row.
    private static let childLimit = 3
    private static let root = 0
    private static let rootInWord = 1

    /// - Parameter plain: words that are not read where they are labels of a host name.
    init(_ fragments: [ReplyPattern.Fragment], plain: Set<[UInt8]> = []) {
        shapes = fragments.map { Shape($0, isPlain: plain.contains($0.bytes)) }
        for byte in Set(fragments.flatMap(\.bytes)).sorted() {
            // At most 230: fragments hold no upper-case letters and no control white space but the space.
            classes[Int(byte)] = UInt8(truncatingIfNeeded: width)
            width += 1
        }
        let (parents, own) = grow(fragments)
        link(parents, own)
        encode()
    }

    /// The trees of the fragments' bytes; returns each state's parent and the fragments that are spelt out there.
    private mutating func grow(_ fragments: [ReplyPattern.Fragment]) -> (parents: [Int32], own: [[Int32]]) {
        let sorted = fragments.indices.sorted { fragments[$0].bytes.lexicographicallyPrecedes(fragments[$1].bytes) }
        // Those that begin within words stand in both trees; what is no part of a word begins one everywhere.
        let order =
            sorted
            + sorted.filter { fragments[$0].openStart && fragments[$0].bytes.first.map(ReplyText.isWordByte) ?? false }
        var line = [(range: 0..<sorted.count, depth: 0), (range: sorted.count..<order.count, depth: 0)]
        var parents: [Int32] = [0, 0]
        var own: [[Int32]] = []
        labels = [0, 0]
        var index = 0
        while index < line.count {
            let (range, depth) = line[index]
            states.append(State(firstChild: Int32(line.count)))
            var place = range.lowerBound
            own.append([])
            while place < range.upperBound, fragments[order[place]].bytes.count == depth {
                own[index].append(Int32(order[place]))
                place += 1
            }
            while place < range.upperBound {
                let byte = fragments[order[place]].bytes[depth]
                let first = place
                while place < range.upperBound, fragments[order[place]].bytes[depth] == byte { place += 1 }
                line.append((first..<place, depth + 1))
                labels.append(byte)
                parents.append(Int32(index))
            }
            index += 1
        }
        return (parents, own)
    }

    /// Suffixes, rows and ends; each state's suffix comes before it, so one pass does.
    private mutating func link(_ parents: [Int32], _ own: [[Int32]]) {
        var all: [[Int32]] = []
        let count = states.count
        // What stands behind the last state.
        states.append(State(firstChild: Int32(count)))
        for index in 0..<count {
            let suffix = suffix(of: index, parent: Int(parents[index]))
            states[index].suffix = Int32(suffix)
            let children = Int(states[index].firstChild)..<Int(states[index + 1].firstChild)
            if index <= Self.rootInWord || children.count > Self.childLimit { addRow(to: index, children) }
            states[index].firstEnd = Int32(ends.count)
            all.append(own[index] + (index <= Self.rootInWord ? [] : all[suffix]))
            ends += all[index]
        }
        states[count].firstEnd = Int32(ends.count)
    }

    private func suffix(of index: Int, parent: Int) -> Int {
        if index <= Self.rootInWord { return Self.root }
        let label = labels[index]
        if parent <= Self.rootInWord { return ReplyText.isWordByte(label) ? Self.rootInWord : Self.root }
        return step(from: Int(states[parent].suffix), label)
    }

    private mutating func addRow(to index: Int, _ children: Range<Int>) {
        var row = [Int32](repeating: 0, count: width)
        for byte in UInt8.min...UInt8.max {
            row[Int(classes[Int(byte)])] = Int32(next(after: index, byte))
        }
        for child in children { row[Int(classes[Int(labels[child])])] = Int32(child) }
        states[index].row = Int32(rows.count)
        // Behind the row stands whose it is.
        rows += row + [Int32(index)]
    }

    /// Where a byte leads that no child has.
    private func next(after index: Int, _ byte: UInt8) -> Int {
        if index > Self.rootInWord { return step(from: Int(states[index].suffix), byte) }
        if ReplyText.isWordByte(byte) { return Self.rootInWord }
        return index == Self.root ? Self.root : step(from: Self.root, byte)
    }

    /// Where a byte leads: to a child, or to one of the suffixes' children; the roots have rows.
    private func step(from start: Int, _ byte: UInt8) -> Int {
        var index = start
        while true {
            let state = states[index]
            if state.row >= 0 { return Int(rows[Int(state.row) + Int(classes[Int(byte)])]) }
            let children = Int(state.firstChild)..<Int(states[index + 1].firstChild)
            if let child = children.first(where: { labels[$0] == byte }) { return child }
            index = Int(state.suffix)
        }
    }

    /// Puts places in place of numbers, in rows and suffixes, so that scanning need not look them up.
    private mutating func encode() {
        codes = states.indices.dropLast().map { index in
            let state = states[index]
            var code = state.row >= 0 ? state.row : Int32(index) | Self.sparse
            if state.firstEnd < states[index + 1].firstEnd { code |= Self.ending }
            return code
        }
        for row in states where row.row >= 0 {
            for place in Int(row.row)..<Int(row.row) + width { rows[place] = codes[Int(rows[place])] }
        }
        for index in codes.indices { states[index].suffix = codes[Int(states[index].suffix)] }
    }

    /// The state has no row.
    static let sparse = Int32.min
    /// Some fragment ends at it.
    static let ending: Int32 = 1 << 30
    static let place: Int32 = ending - 1
}
