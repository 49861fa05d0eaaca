/// Metrics in Prometheus' text format 0.0.4, put together family by family.
///
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
package struct Exposition: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    package private(set) var text = ""

    package init() {}

    /// Begins a family; its samples follow.
    ///
    /// - Parameter help: one sentence for whoever reads the page.
    package mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    package mutating func sample(_ name: String, _ value: Int, _ labels: KeyValuePairs<String, String> = [:]) {
        add(name, labels, "\(value)")
    }

    package mutating func sample(_ name: String, seconds: Double) {
        add(name, [:], "\(seconds)")
    }

    /// A family of one gauge or counter without labels.
    package mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
        family(name, kind, help)
        sample(name, value)
    }

    /// - Parameters:
    ///   - bounds: upper bounds of the buckets, in seconds, rising.
    ///   - counts: what fell into each bucket, one more than bounds: the last is what was above all of them.
    ///   - sum: of all observations, in seconds.
    package mutating func histogram(_ name: String, _ help: String, bounds: [Double], counts: [Int], sum: Double) {
        family(name, .histogram, help)
        var total = 0
        for (index, count) in counts.enumerated() {
            total += count
            let bound = index < bounds.count ? "\(bounds[index])" : "+Inf"
            sample("\(name)_bucket", total, ["le": bound])
        }
        add("\(name)_sum", [:], "\(sum)")
        sample("\(name)_count", total)
    }

    private mutating func add(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: String) {
        text += name
        if !labels.isEmpty {
            let list = labels.map { "\($0.key)=\"\(Self.escaped($0.value, quotes: true))\"" }
            text += "{\(list.joined(separator: ","))}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
