import Mail

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
    /// A customer of fewer days has no habit yet: its first newsletter is no burst.
    private static let daysNeeded = 3
    /// Far from what is usual: a season's mailing is two or three times as much, a stolen password a hundred times.
    private static let factor = 10
    /// Recipients an hour that are nobody's burst.
    private static let floor = 1_000

    package init() {}

    /// A burst: what came this hour, and the most of any hour before.
    struct Burst: Equatable {
        var count: Int
        var usual: Int
    }

    /// - Returns: set once an hour, with the message that goes too far.
    mutating func sent(_ recipients: Int, at now: Timestamp) -> Burst? {
        let milliseconds = max(0, now.milliseconds)
        let (hour, day) = (milliseconds / 3_600_000, milliseconds / 86_400_000)
        if self.hour != hour { begin(hour, of: day) }
        let (sum, overflow) = count.addingReportingOverflow(recipients)
        count = overflow ? .max : sum
        if days[day, default: 0] < count {
            days[day] = count
            if days.count > Self.daysKept, let first = days.keys.min() { days[first] = nil }
        }
        guard let usual, count > Self.floor, count / Self.factor > usual else { return nil }
        self.usual = nil
        return Burst(count: count, usual: usual)
    }

    /// What is usual is looked up once an hour: messages come by the thousand in one.
    private mutating func begin(_ hour: Int64, of day: Int64) {
        self.hour = hour
        count = 0
        let others = days.filter { $0.key != day }
        usual = others.count >= Self.daysNeeded ? others.values.max() : nil
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
