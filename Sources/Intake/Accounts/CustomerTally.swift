import Mail
import SMTP
import Synchronization

/// Counts what one customer sends, and says when it is too much; sessions of all event loops share it.
///
/// What is counted lies in memory: a restart begins every hour and day anew.
final class CustomerTally: Sendable {
    /// What a transaction has taken of the customer's share, to be given back when no message comes of it.
    struct Reservation {
        fileprivate(set) var messages = 0
        fileprivate(set) var recipients = 0
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

        mutating func move(to number: Int64) {
            if self.number != number { self = Window(number: number) }
        }

        mutating func giveBack(_ reservation: Reservation, of number: Int64) {
            guard self.number == number else { return }
            messages = max(0, messages - reservation.messages)
            recipients = max(0, recipients - reservation.recipients)
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
    /// - Returns: why it is too much; nil when it was taken.
    func take(_ limits: CustomerLimits, _ reservation: inout Reservation, at now: Timestamp) -> ServerReply? {
        let milliseconds = max(0, now.milliseconds)
        let (hour, day) = (milliseconds / Self.hour, milliseconds / Self.day)
        let message = reservation.isEmpty ? 1 : 0
        let refusal = state.withLock { state -> ServerReply? in
            state.hour.move(to: hour)
            state.day.move(to: day)
            if let refusal = Self.refusal(state, limits, message) { return refusal }
            state.hour.messages += message
            state.hour.recipients += 1
            state.day.messages += message
            state.day.recipients += 1
            return nil
        }
        if let refusal { return refusal }
        if message == 1 { (reservation.hour, reservation.day) = (hour, day) }
        reservation.messages += message
        reservation.recipients += 1
        return nil
    }

    /// Those that last longest come first.
    private static func refusal(_ state: State, _ limits: CustomerLimits, _ message: Int) -> ServerReply? {
        if let most = limits.messagesPerDay, state.day.messages + message > most { return .messagesOfDay }
        if let most = limits.recipientsPerDay, state.day.recipients >= most { return .recipientsOfDay }
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
    func sent(_ recipients: Int, at now: Timestamp) -> Habit.Burst? {
        state.withLock { $0.habit.sent(recipients, at: now) }
    }

    var habit: Habit {
        get { state.withLock { $0.habit } }
        set { state.withLock { $0.habit = newValue } }
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
    private let teller = Mutex<(@Sendable (String, Habit.Burst) -> Void)?>(nil)

    /// - Parameter teller: called on event loops with each burst; returns at once.
    func tellBursts(_ teller: @escaping @Sendable (String, Habit.Burst) -> Void) {
        self.teller.withLock { $0 = teller }
    }

    func tell(_ customer: String, _ burst: Habit.Burst) { teller.withLock { $0 }?(customer, burst) }

    var all: [String: CustomerTally] { tallies.withLock { $0 } }

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
