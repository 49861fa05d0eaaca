import Mail

/// What of a rule's limits is used up: one for all sites that the rule is about.
final class Allowance {
    let rule: SiteRule
    /// Sessions of all its sites.
    var sessions = 0
    /// Milliseconds between two messages; 0 without a rate.
    private let interval: Double
    /// How far ahead of an even pace it may run, in milliseconds: a second's worth, since time is looked at in steps.
    private let slack: Double
    /// When the next message would be due at an even pace, in milliseconds of the clock.
    private var next: Double = 0

    init(_ rule: SiteRule) {
        self.rule = rule
        guard let rate = rule.limits.rate else {
            interval = 0
            slack = 0
            return
        }
        interval = Double(rate.per.milliseconds) / Double(rate.messages)
        slack = max(0, 1_000 - interval)
    }

    /// It takes no further session.
    var isFull: Bool { rule.limits.sessions.map { sessions >= $0 } ?? false }

    /// How many messages may begin now.
    func ready(at now: Timestamp) -> Int {
        guard interval > 0 else { return .max }
        let ahead = Double(now.milliseconds) + slack - pace(at: now)
        guard ahead >= 0 else { return 0 }
        return Int(min(ahead / interval, 1e9)) + 1
    }

    /// When the next message may begin.
    func opens(after now: Timestamp) -> Timestamp {
        guard interval > 0 else { return now }
        let wait = pace(at: now) - slack - Double(now.milliseconds)
        guard wait > 0 else { return now }
        return now + Timestamp.Span(milliseconds: Int64(min(wait.rounded(.up), 1e12)))
    }

    /// A message begins.
    func spend(at now: Timestamp) {
        guard interval > 0 else { return }
        next = pace(at: now) + interval
    }

    /// Time in which nothing was sent is worth no more than the slack, and a clock that was set back costs no more than
    /// one message's time.
    private func pace(at now: Timestamp) -> Double {
        let now = Double(now.milliseconds)
        return min(max(next, now), now + slack + interval)
    }
}
