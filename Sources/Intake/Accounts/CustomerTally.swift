import Mail
import SMTP
import Synchronization

/// Counts what one customer sends, and says when it is too much; sessions of all event loops share it.
///
/// What is counted lies in memory; ``text`` takes it over a restart.
final class CustomerTally: Sendable {
    /// What a transaction has taken of the customer's share, to be given back when no message comes of it.
    struct Reservation {
        fileprivate(set) var messages = 0
        fileprivate(set) var recipients = 0
        /// Digests of those that the customer has not written to before.
        fileprivate(set) var strangers: [UInt64] = []
        fileprivate var hour: Int64 = 0
        fileprivate var day: Int64 = 0

        var isEmpty: Bool { recipients == 0 }
    }

    /// How many recipients receivers took, and do not know.
    struct Answers: Sendable, Hashable {
        var taken: Int
        var unknown: Int
    }

    /// Counts of one hour or day.
    private struct Window {
        /// Hours or days since 1970.
        var number: Int64 = 0
        var messages = 0
        var recipients = 0
        var strangers = 0

        mutating func move(to number: Int64) {
            if self.number != number { self = Window(number: number) }
        }

        mutating func giveBack(_ reservation: Reservation, of number: Int64) {
            guard self.number == number else { return }
            messages = max(0, messages - reservation.messages)
            recipients = max(0, recipients - reservation.recipients)
            strangers = max(0, strangers - reservation.strangers.count)
        }

        /// `495000:3:17:4`
        var text: String { "\(number):\(messages):\(recipients):\(strangers)" }

        init(number: Int64 = 0) { self.number = number }

        /// More than anybody counts to in a day, and far from where numbers end.
        private static let most: Int64 = 1_000_000_000_000

        /// nil for what is no such text.
        init?(_ text: Substring) {
            let parts = text.split(separator: ":").compactMap { Int64($0) }
            guard parts.count == 4, parts.allSatisfy({ (0...Self.most).contains($0) }) else { return nil }
            number = parts[0]
            (messages, recipients, strangers) = (Int(parts[1]), Int(parts[2]), Int(parts[3]))
        }
    }

    private struct State {
        var hour = Window()
        var day = Window()
        var sessions = 0
        /// What receivers said since the start, and what of it was said before this day.
        var answers = Answers(taken: 0, unknown: 0)
        var before = Answers(taken: 0, unknown: 0)
        var answersDay: Int64?
        var habit = Habit()
        /// ``CustomerTally/text`` as it was taken last.
        var taken: String?
    }

    private let state = Mutex(State())

    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 86_400_000

    // MARK: sessions

    /// - Returns: how many sessions it has with this one, which counts until ``leave()``.
    func enter() -> Int {
        state.withLock { state in
            state.sessions += 1
            return state.sessions
        }
    }

    func leave() { state.withLock { $0.sessions = max(0, $0.sessions - 1) } }

    // MARK: mail

    /// Takes one recipient of the customer's share, and a message with the first of them.
    ///
    /// - Parameter stranger: the recipient's digest where the customer has not written to it before.
    /// - Returns: why it is too much; nil when it was taken.
    func take(
        _ limits: CustomerLimits, _ reservation: inout Reservation, stranger: UInt64? = nil, at now: Timestamp
    ) -> ServerReply? {
        let milliseconds = max(0, now.milliseconds)
        let (hour, day) = (milliseconds / Self.hour, milliseconds / Self.day)
        let message = reservation.isEmpty ? 1 : 0
        let refusal = state.withLock { state -> ServerReply? in
            state.hour.move(to: hour)
            state.day.move(to: day)
            if let refusal = Self.refusal(state, limits, message, isStranger: stranger != nil) { return refusal }
            state.hour.messages += message
            state.hour.recipients += 1
            state.day.messages += message
            state.day.recipients += 1
            state.day.strangers += stranger == nil ? 0 : 1
            return nil
        }
        if let refusal { return refusal }
        if message == 1 { (reservation.hour, reservation.day) = (hour, day) }
        reservation.messages += message
        reservation.recipients += 1
        if let stranger { reservation.strangers.append(stranger) }
        return nil
    }

    /// Those that last longest come first.
    private static func refusal(
        _ state: State, _ limits: CustomerLimits, _ message: Int, isStranger: Bool
    ) -> ServerReply? {
        if let most = limits.messagesPerDay, state.day.messages + message > most { return .messagesOfDay }
        if let most = limits.recipientsPerDay, state.day.recipients >= most { return .recipientsOfDay }
        if isStranger, let most = limits.newRecipientsPerDay, state.day.strangers >= most { return .strangersOfDay }
        if let most = limits.badShare, isBad(state, most) { return .unknownOfDay }
        let next = Int((state.hour.number + 1) % 24)
        if let most = limits.messagesPerHour, state.hour.messages + message > most {
            return .messagesOfHour(before: next)
        }
        if let most = limits.recipientsPerHour, state.hour.recipients >= most { return .recipientsOfHour(before: next) }
        return nil
    }

    /// No message came of it.
    func giveBack(_ reservation: inout Reservation) {
        guard !reservation.isEmpty else { return }
        let back = reservation
        reservation = Reservation()
        state.withLock { state in
            state.hour.giveBack(back, of: back.hour)
            state.day.giveBack(back, of: back.day)
        }
    }

    // MARK: habits

    /// - Returns: how far from its habit this is, once an hour.
    func sent(_ recipients: Int, at now: Timestamp, _ burst: Burst) -> Habit.Excess? {
        state.withLock { $0.habit.sent(recipients, at: now, burst) }
    }

    var habit: Habit {
        get { state.withLock { $0.habit } }
        set { state.withLock { $0.habit = newValue } }
    }

    // MARK: over restarts

    /// The counts of this hour and this day, where they have changed since this was asked last.
    func takeText() -> String? {
        state.withLock { state in
            let text = "\(state.hour.text) \(state.day.text)"
            guard state.day.number > 0, text != state.taken else { return nil }
            state.taken = text
            return text
        }
    }

    /// Goes on with counts of an earlier run; what cannot be read is passed over.
    func resume(_ text: String) {
        let windows = text.split(separator: " ").compactMap { Window($0) }
        guard windows.count == 2 else { return }
        state.withLock { state in
            (state.hour, state.day) = (windows[0], windows[1])
            state.taken = text
        }
    }

    /// What is used at this moment of the limits that are counted.
    func used(at now: Timestamp) -> CustomerLimits {
        let milliseconds = max(0, now.milliseconds)
        return state.withLock { state in
            var used = CustomerLimits()
            state.hour.move(to: milliseconds / Self.hour)
            state.day.move(to: milliseconds / Self.day)
            (used.messagesPerHour, used.recipientsPerHour) = (state.hour.messages, state.hour.recipients)
            (used.messagesPerDay, used.recipientsPerDay) = (state.day.messages, state.day.recipients)
            used.newRecipientsPerDay = state.day.strangers
            used.sessions = state.sessions
            return used
        }
    }

    // MARK: what receivers say

    /// - Parameter answers: since the start.
    func note(_ answers: Answers, at now: Timestamp) {
        let day = max(0, now.milliseconds) / Self.day
        state.withLock { state in
            if state.answersDay != day {
                state.before = state.answers
                state.answersDay = day
            }
            state.answers = answers
        }
    }

    private static func isBad(_ state: State, _ percent: Int) -> Bool {
        guard state.answersDay == state.day.number else { return false }
        let taken = max(0, state.answers.taken - state.before.taken)
        let unknown = max(0, state.answers.unknown - state.before.unknown)
        let all = taken + unknown
        return all >= CustomerLimits.badShareFloor && unknown * 100 > all * percent
    }
}

/// The tallies of all customers.
final class CustomerTallies: Sendable {
    /// There are as many as customers have had names.
    private let tallies = Mutex<[String: CustomerTally]>([:])
    private let teller = Mutex<(@Sendable (String, Habit.Excess) -> Void)?>(nil)

    /// - Parameter teller: called on event loops with each burst; returns at once.
    func tellBursts(_ teller: @escaping @Sendable (String, Habit.Excess) -> Void) {
        self.teller.withLock { $0 = teller }
    }

    func tell(_ customer: String, _ burst: Habit.Excess) { teller.withLock { $0 }?(customer, burst) }

    var all: [String: CustomerTally] { tallies.withLock { $0 } }

    /// nil where nothing is known of it.
    func known(_ name: String) -> CustomerTally? { tallies.withLock { $0[name] } }

    func tally(of name: String) -> CustomerTally {
        tallies.withLock { tallies in
            if let tally = tallies[name] { return tally }
            let tally = CustomerTally()
            tallies[name] = tally
            return tally
        }
    }
}

extension ServerReply {
    fileprivate static var messagesOfDay: ServerReply {
        ServerReply("450 4.7.1 Too many messages today, try again after 00:00 UTC\r\n")
    }
    fileprivate static var recipientsOfDay: ServerReply {
        ServerReply("450 4.7.1 Too many recipients today, try again after 00:00 UTC\r\n")
    }
    fileprivate static var strangersOfDay: ServerReply {
        ServerReply("450 4.7.1 Too many new recipients today, try again after 00:00 UTC\r\n")
    }
    fileprivate static var unknownOfDay: ServerReply {
        ServerReply("450 4.7.1 Too many unknown recipients today, try again after 00:00 UTC\r\n")
    }
    fileprivate static func messagesOfHour(before hour: Int) -> ServerReply {
        ServerReply("450 4.7.1 Too many messages this hour, try again after ", hour: hour)
    }
    fileprivate static func recipientsOfHour(before hour: Int) -> ServerReply {
        ServerReply("450 4.7.1 Too many recipients this hour, try again after ", hour: hour)
    }
}
