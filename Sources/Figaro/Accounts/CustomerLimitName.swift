import Intake

/// Limits of a customer as files, commands and accounts name them.
enum CustomerLimitName: String, CaseIterable {
    case messagesPerHour = "messages_per_hour"
    case messagesPerDay = "messages_per_day"
    case recipientsPerHour = "recipients_per_hour"
    case recipientsPerDay = "recipients_per_day"
    case newRecipientsPerDay = "new_recipients_per_day"
    case sessions = "sessions"
    case messageSize = "message_size"
    case unknownPercent = "unknown_percent"

    var value: WritableKeyPath<CustomerLimits, Int?> {
        switch self {
        case .messagesPerHour: \.messagesPerHour
        case .messagesPerDay: \.messagesPerDay
        case .recipientsPerHour: \.recipientsPerHour
        case .recipientsPerDay: \.recipientsPerDay
        case .newRecipientsPerDay: \.newRecipientsPerDay
        case .sessions: \.sessions
        case .messageSize: \.messageSize
        case .unknownPercent: \.badShare
        }
    }

    var range: ClosedRange<Int> {
        switch self {
        case .messagesPerHour, .messagesPerDay, .recipientsPerHour, .recipientsPerDay, .newRecipientsPerDay:
            1...1_000_000_000
        case .sessions: 1...1_000_000
        case .messageSize: 1 << 10...1 << 30
        case .unknownPercent: 1...100
        }
    }

    /// A value as a person writes it; nil when it is none, or out of range.
    func value(_ text: String) -> Int? {
        let value = self == .messageSize ? Units.size(text) : Int(text)
        return value.flatMap { range.contains($0) ? $0 : nil }
    }

    func text(_ value: Int) -> String { self == .messageSize ? Units.text(octets: value) : "\(value)" }

    static func values(of limits: CustomerLimits) -> [String: Int] {
        Dictionary(
            uniqueKeysWithValues: allCases.compactMap { name in limits[keyPath: name.value].map { (name.rawValue, $0) }
            })
    }

    static var all: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

extension CustomerLimits {
    /// - Parameter values: by name; names that are not known have no effect.
    init(_ values: [String: Int]) {
        self.init()
        for name in CustomerLimitName.allCases { self[keyPath: name.value] = values[name.rawValue] }
    }
}
