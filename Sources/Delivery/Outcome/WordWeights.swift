import Glibc
import Mail

/// What the words of a reply say together where no rule reads it: each weighs for or against every cause, as it did in
/// replies whose cause is known (multinomial logistic regression).
///
/// The table is text: lines that begin with `#`, one with `scale` and a number, one with `causes` and their names, and
/// one for each of ``ReplyFeatures`` with as many whole numbers from -127 to 127 as there are causes, all separated by
/// tabs. `=550`, `=5` and `=7.1` are code, class and enhanced status without its class.
package struct WordWeights: Sendable {
    /// Says nothing.
    package static let none = WordWeights()

    private var causes: [Cause] = []
    /// By how much the numbers were multiplied.
    private var scale = 1.0
    /// An open hash table of twice as many places as features, a power of two; 0 is an empty place.
    private var keys: [UInt64] = [0]
    private var places: [Int32] = [0]
    /// By place of the feature, a number for each cause.
    private var weights: [Int8] = []

    /// How sure it must be, as a probability. An address is given up only where little doubt is left.
    private static let certain = 0.4
    private static let certainOfSource = 0.8
    /// A single known word may mean anything, and two, such as "access denied", name nothing that is refused.
    private static let fewestWords = 2
    private static let fewestWordsOfSource = 3

    package struct FormatError: Error, Hashable {
        /// From 1.
        package let line: Int
    }

    private init() {}

    package init(_ table: String) throws(FormatError) {
        var features: [UInt64] = []
        for (number, line) in table.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard let name = parts.first, !name.isEmpty, !name.hasPrefix("#") else { continue }
            guard read(name, parts.dropFirst(), &features) else { throw FormatError(line: number + 1) }
        }
        var size = 1
        while size < 2 * features.count { size *= 2 }
        keys = [UInt64](repeating: 0, count: size)
        places = [Int32](repeating: 0, count: size)
        for (place, feature) in features.enumerated() {
            let slot = slot(feature)
            keys[slot] = feature
            places[slot] = Int32(place)
        }
    }

    private mutating func read(_ name: Substring, _ values: ArraySlice<Substring>, _ features: inout [UInt64]) -> Bool {
        switch name {
        case "scale":
            guard let scale = values.first.flatMap({ Double($0) }), scale > 0, scale < 1_000 else { return false }
            self.scale = scale
        case "causes":
            guard causes.isEmpty else { return false }
            causes = values.compactMap { Cause(rawValue: String($0)) }
            return !causes.isEmpty && causes.count == values.count
        default:
            let numbers = values.compactMap { Int8($0) }
            guard !causes.isEmpty, numbers.count == causes.count, values.count == causes.count else { return false }
            features.append(ReplyFeatures.hash(name.utf8))
            weights += numbers
        }
        return true
    }

    /// The cause that the words speak for, where they do so clearly.
    func cause(of reply: Reply, _ words: [UInt8]) -> Cause? {
        guard !weights.isEmpty else { return nil }
        var tally = Tally(causes: causes.count, features: weights.count / causes.count)
        let known = ReplyFeatures.each(of: words) { tally.add(place(of: $0), weights) }
        guard known >= Self.fewestWords else { return nil }
        let code = String(reply.code)
        _ = tally.add(place(of: ReplyFeatures.hash("=\(code)".utf8)), weights)
        _ = tally.add(place(of: ReplyFeatures.hash("=\(code.prefix(1))".utf8)), weights)
        if let status = reply.enhanced {
            _ = tally.add(place(of: ReplyFeatures.hash("=\(status.subject).\(status.detail)".utf8)), weights)
        }
        let cause = clearest(tally)
        return cause == .source && known < Self.fewestWordsOfSource ? nil : cause
    }

    private func clearest(_ tally: Tally) -> Cause? {
        let factor = 1 / (scale * Double(tally.count).squareRoot())
        let scores = tally.sums.map { exp(Double($0) * factor) }
        guard let best = scores.indices.max(by: { scores[$0] < scores[$1] }) else { return nil }
        let cause = causes[best]
        guard cause != .unknown else { return nil }
        let certainty = scores[best] / scores.reduce(0, +)
        return certainty >= (cause == .source ? Self.certainOfSource : Self.certain) ? cause : nil
    }

    /// Of a feature, or where it would be.
    @inline(__always)
    private func slot(_ feature: UInt64) -> Int {
        let mask = UInt64(keys.count - 1)
        var slot = Int((feature ^ feature >> 32) & mask)
        while keys[slot] != 0, keys[slot] != feature { slot = (slot + 1) & Int(mask) }
        return slot
    }

    @inline(__always)
    private func place(of feature: UInt64) -> Int? {
        let slot = slot(feature)
        return keys[slot] == feature ? Int(places[slot]) : nil
    }

    /// The sums so far; a feature that stands several times counts once.
    private struct Tally {
        var sums: [Int32]
        var seen: [UInt64]
        var count = 0

        init(causes: Int, features: Int) {
            sums = [Int32](repeating: 0, count: causes)
            seen = [UInt64](repeating: 0, count: features / 64 + 1)
        }

        /// Whether it weighs now and did not before.
        mutating func add(_ place: Int?, _ weights: [Int8]) -> Bool {
            guard let place else { return false }
            let bit = UInt64(1) << UInt64(place & 63)
            guard seen[place >> 6] & bit == 0 else { return false }
            seen[place >> 6] |= bit
            count += 1
            for cause in sums.indices { sums[cause] += Int32(weights[place * sums.count + cause]) }
            return true
        }
    }
}
