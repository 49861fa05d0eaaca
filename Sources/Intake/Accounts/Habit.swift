import Mail

/// What is far more than a customer usually sends.
package struct Burst: Sendable, Hashable {
    /// Recipients an hour that are nobody's burst.
    package var recipients = 1_000
    /// Times the busiest hour of its last days: a season's mailing is two or three times as much, a stolen password a
    /// hundred times. 1 or more.
    package var factor = 10
    /// A customer of fewer days has no habit yet: its first newsletter is no burst.
    package var days = 3

    package init() {}
}

/// How much a customer usually sends: the busiest hour of each of its last days, in recipients.
package struct Habit: Sendable, Hashable {
    /// Days since 1970, and recipients of their busiest hour.
    private var days: [Int64: Int] = [:]
    private var hour: Int64 = 0
    /// Recipients of ``hour``.
    private var count = 0
    /// Of the busiest hour of other days; nil where there is no habit yet, and when the burst of this hour was told.
    private var usual: Int?

    /// Two weeks have every kind of day twice.
    private static let daysKept = 14
    package init() {}

    /// A burst: what came this hour, and the most of any hour before.
    struct Excess: Equatable {
        var count: Int
        var usual: Int
    }

    /// - Returns: set once an hour, with the message that goes too far.
    mutating func sent(_ recipients: Int, at now: Timestamp, _ burst: Burst) -> Excess? {
        let milliseconds = max(0, now.milliseconds)
        let (hour, day) = (milliseconds / 3_600_000, milliseconds / 86_400_000)
        if self.hour != hour { begin(hour, of: day, burst) }
        let (sum, overflow) = count.addingReportingOverflow(recipients)
        count = overflow ? .max : sum
        if days[day, default: 0] < count {
            days[day] = count
            if days.count > Self.daysKept, let first = days.keys.min() { days[first] = nil }
        }
        guard let usual, count > burst.recipients, count / burst.factor > usual else { return nil }
        self.usual = nil
        return Excess(count: count, usual: usual)
    }

    /// What is usual is looked up once an hour: messages come by the thousand in one.
    private mutating func begin(_ hour: Int64, of day: Int64, _ burst: Burst) {
        self.hour = hour
        count = 0
        let others = days.filter { $0.key != day }
        usual = others.count >= burst.days ? others.values.max() : nil
    }

    // MARK: over restarts

    /// `20780:412 20781:388`; empty where nothing is known.
    package var text: String {
        days.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: " ")
    }

    /// What cannot be read is passed over.
    package init(_ text: String) {
        for word in text.split(separator: " ").prefix(100) {
            let parts = word.split(separator: ":")
            guard parts.count == 2, let day = Int64(parts[0]), let count = Int(parts[1]), day >= 0, count >= 0 else {
                continue
            }
            days[day] = count
        }
        while days.count > Self.daysKept, let first = days.keys.min() { days[first] = nil }
    }
}
