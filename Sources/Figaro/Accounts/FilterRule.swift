import Filtering

/// What an account may say of filters, by the names that files and commands have for it.
enum FilterRule: String, CaseIterable {
    case reject
    case addHeader = "add_header"
    case unavailable
    case tooLarge = "too_large"

    /// Scores from 0 to this.
    private static let highestScore = 10_000.0

    /// - Returns: the value as it is kept; nil when it is none.
    func value(_ text: String) -> String? {
        switch self {
        case .reject, .addHeader:
            guard let score = Double(text), (0...Self.highestScore).contains(score) else { return nil }
            return Self.text(score)
        case .unavailable: return Filtering.Configuration.Unavailable(rawValue: text)?.rawValue
        case .tooLarge: return Filtering.Configuration.TooLarge(rawValue: text)?.rawValue
        }
    }

    /// For whoever gave another one.
    var expected: String {
        switch self {
        case .reject, .addHeader: "a score from 0 to 10000"
        case .unavailable: Filtering.Configuration.Unavailable.allCases.map(\.rawValue).joined(separator: ", ")
        case .tooLarge: Filtering.Configuration.TooLarge.allCases.map(\.rawValue).joined(separator: ", ")
        }
    }

    static func values(of policy: Filtering.Configuration.Policy) -> [String: String] {
        let values: [FilterRule: String?] = [
            .reject: policy.thresholds.reject.map(text),
            .addHeader: policy.thresholds.addHeader.map(text),
            .unavailable: policy.unavailable?.rawValue, .tooLarge: policy.tooLarge?.rawValue,
        ]
        return Dictionary(uniqueKeysWithValues: values.compactMap { rule, value in value.map { (rule.rawValue, $0) } })
    }

    private static func text(_ score: Double) -> String {
        Int(exactly: score).map { "\($0)" } ?? "\(score)"
    }

    static var all: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

extension Filtering.Configuration.Policy {
    /// - Parameter values: by name; what is not known has no effect.
    init(_ values: [String: String]) {
        func value(_ rule: FilterRule) -> String? { values[rule.rawValue] }
        self.init(
            thresholds: Filtering.Configuration.Thresholds(
                reject: value(.reject).flatMap(Double.init), addHeader: value(.addHeader).flatMap(Double.init)),
            unavailable: value(.unavailable).flatMap(Filtering.Configuration.Unavailable.init),
            tooLarge: value(.tooLarge).flatMap(Filtering.Configuration.TooLarge.init))
    }
}
