package import Mail

/// How fast a receiver lets us be, as it taught us: halved when it complains of too much, and raised by small steps
/// while it does not (additive increase, multiplicative decrease). Limits of the configuration stand above it.
package struct Pace: Sendable, Hashable {
    /// Messages in a minute.
    package var rate: Double
    /// Sessions at a time.
    package var sessions: Int
    /// Nothing begins before then: the time that the reply named, or one that grows with each complaint in a row.
    package var until: Timestamp
    /// Complaints in a row.
    package var complaints = 0
    package var since: Timestamp
    /// The rate and the sessions that it complained of: half as much more is taken for no limit at all.
    package var peak: Double
    package var peakSessions: Int
    /// What read the complaint, and its first line.
    package var rule: String
    package var reply: String
    /// When it was last raised or lowered.
    var moved: Timestamp
    /// When the next message would be due at an even pace.
    var next: Timestamp

    /// Rates are between a message in an hour and more than any receiver was seen to take.
    static let rates = 1.0 / 60...60_000.0
    private static let step = Timestamp.Span.minutes(1)
    /// Sessions that were opened together hear the same complaint.
    private static let together = Timestamp.Span.seconds(5)
    private static let firstPause: Int64 = 15_000
    private static let longestDoubling = 6

    init(rate: Double, sessions: Int, rule: String, reply: String, at now: Timestamp) {
        self.rate = min(max(rate, Self.rates.lowerBound), Self.rates.upperBound)
        self.sessions = max(1, sessions)
        peak = self.rate
        peakSessions = self.sessions
        since = now
        moved = Timestamp(milliseconds: 0)
        until = now
        next = now
        self.rule = rule
        self.reply = reply
    }

    /// - Parameter observed: messages a minute, and sessions, that were too much.
    mutating func lower(observed: (rate: Double, sessions: Int), hold: Timestamp.Span?, at now: Timestamp) {
        let isNews = complaints == 0 || now - moved >= Self.together
        if isNews {
            rate = min(max(min(rate, observed.rate) / 2, Self.rates.lowerBound), Self.rates.upperBound)
            sessions = max(1, min(sessions, max(1, observed.sessions)) / 2)
            complaints = min(complaints + 1, 1_000)
            moved = now
            next = now
        }
        let pause = Self.firstPause << Int64(min(complaints - 1, Self.longestDoubling))
        until = max(until, now + (hold ?? Timestamp.Span(milliseconds: pause)))
    }

    /// The receiver took a message: it does not complain any more.
    mutating func took() { complaints = 0 }

    /// Raises it by what the time since allows; true when nothing is left of it.
    mutating func raise(at now: Timestamp) -> Bool {
        guard until <= now, now - max(moved, until) >= Self.step else { return false }
        let steps = min((now - max(moved, until)).milliseconds / Self.step.milliseconds, 100_000)
        moved = now
        rate = min(rate + Double(steps) * max(peak / 20, 1.0 / 6), Self.rates.upperBound)
        sessions = min(sessions + Int(steps), 100_000)
        return rate >= peak * 1.5 && sessions > peakSessions
    }

    /// When the next message may begin: at an even pace, but for a second's worth at once.
    func opens(after now: Timestamp) -> Timestamp {
        if until > now { return until }
        let slack = Timestamp.Span(milliseconds: max(0, 1_000 - interval.milliseconds))
        let opens = next + Timestamp.Span(milliseconds: -slack.milliseconds)
        // A clock that was set back costs no more than one message's time.
        return max(now, min(opens, now + interval))
    }

    func isReady(at now: Timestamp) -> Bool { opens(after: now) <= now }

    mutating func spend(at now: Timestamp) { next = max(next, now) + interval }

    private var interval: Timestamp.Span {
        Timestamp.Span(milliseconds: Int64(60_000 / max(rate, Self.rates.lowerBound)))
    }
}

/// How many messages begin in a minute, counted in windows of ten seconds.
struct RateMeter {
    private static let window: Int64 = 10_000
    private var index: Int64 = 0
    private var count = 0
    private var before = 0

    mutating func note(at now: Timestamp) {
        let found = now.milliseconds / Self.window
        if found != index {
            before = found == index + 1 ? count : 0
            count = 0
            index = found
        }
        count += 1
    }

    /// Messages in a minute, 1 or more.
    func perMinute(at now: Timestamp) -> Double {
        let found = now.milliseconds / Self.window
        guard found == index || found == index + 1 else { return 1 }
        let seen = found == index ? count + before : count
        let elapsed = Double(now.milliseconds - (found - 1) * Self.window) / 1_000
        return max(1, Double(seen) * 60 / max(1, min(elapsed, 20)))
    }
}
