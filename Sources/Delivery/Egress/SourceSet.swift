/// Sources by number, an octet for eight of them.
struct SourceSet {
    private var words: [UInt64] = []

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// In ascending order.
    var numbers: [Int] {
        words.indices.flatMap { index in
            (0..<64).compactMap { words[index] & 1 << UInt64($0) == 0 ? nil : index << 6 | $0 }
        }
    }

    func contains(_ source: Int) -> Bool {
        source >> 6 < words.count && words[source >> 6] & 1 << UInt64(source & 63) != 0
    }

    mutating func insert(_ source: Int) {
        guard !contains(source) else { return }
        while words.count <= source >> 6 { words.append(0) }
        words[source >> 6] |= 1 << UInt64(source & 63)
    }

    mutating func remove(_ source: Int) {
        guard contains(source) else { return }
        words[source >> 6] &= ~(1 << UInt64(source & 63))
    }
}
