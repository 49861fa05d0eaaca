/// A bounded set of names that are told apart: the busiest, as far as the past hour tells. All others are one.
///
/// Receivers choose their names, so that no list of them may grow with what comes. A name stays while it is busier than
/// those that knock; the counts of one that gives way are gone, as after a restart.
struct BusiestNames {
    private var scores: [String: Int] = [:]
    /// Names that are not in it, and how busy they were (Misra and Gries, Finding Repeated Elements, 1982).
    private var knocking: [String: Int] = [:]
    private var seen = 0
    private let limit: Int

    /// Events after which the past counts half.
    private static let halving = 100_000

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// Counts an event.
    ///
    /// - Returns: whether the name is told apart, and the name that gave way to it.
    mutating func note(_ name: String) -> (isIn: Bool, gone: String?) {
        seen += 1
        if seen >= Self.halving { halve() }
        if scores[name] != nil {
            scores[name, default: 0] += 1
            return (true, nil)
        }
        guard scores.count >= limit else {
            scores[name] = 1
            return (true, nil)
        }
        if let score = knocking[name] {
            knocking[name] = score + 1
            // Looked at now and then: finding the least busy one takes a pass over all.
            guard (score + 1).isMultiple(of: 16), let least = scores.min(by: { $0.value < $1.value }),
                score + 1 > 2 * least.value
            else { return (false, nil) }
            knocking[name] = nil
            scores[least.key] = nil
            scores[name] = score + 1
            return (true, least.key)
        }
        if knocking.count < limit {
            knocking[name] = 1
        } else {
            knocking = knocking.compactMapValues { $0 > 1 ? $0 - 1 : nil }
        }
        return (false, nil)
    }

    private mutating func halve() {
        seen = 0
        scores = scores.mapValues { $0 / 2 }
        knocking = knocking.compactMapValues { $0 > 1 ? $0 / 2 : nil }
    }
}
