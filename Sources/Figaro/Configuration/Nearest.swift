/// Finds what an operator probably meant.
enum Nearest {
    /// `, did you mean “max_age”?`, or nothing when no known name is close.
    static func hint(_ name: String, among known: [String]) -> String {
        find(name, among: known).map { ", did you mean “\($0)”?" } ?? ""
    }

    /// The closest of the known names, at most a third of its letters away; nil when none is.
    static func find(_ name: String, among known: [String]) -> String? {
        // Longer names are not typing mistakes, and the comparison is quadratic.
        guard name.utf8.count <= 64 else { return nil }
        let ranked = known.map { (name: $0, distance: distance(Array(name.lowercased()), Array($0))) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, best.name.count / 3) ? best.name : nil
    }

    /// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for i in left.indices {
            var row = [i + 1]
            for j in right.indices {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    cost = min(cost, beforeLast[j - 1] + 1)
                }
                row.append(cost)
            }
            beforeLast = last
            last = row
        }
        return last[right.count]
    }
}
