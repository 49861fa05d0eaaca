package import Mail

/// How patient and how busy delivery is.
package struct PlannerConfiguration: Sendable {
    /// Waits between the rounds of a message; the last one repeats. Not empty.
    package var schedule: [Timestamp.Span] = [
        .minutes(5), .minutes(10), .minutes(20), .minutes(40), .hours(1), .hours(2), .hours(4),
    ]
    /// 0 to 0.9: each wait is drawn from (1 - jitter) to (1 + jitter) times its length, so that what failed together
    /// does not come back together.
    package var jitter = 0.2
    /// Sessions in all, and to one site; opening and idle ones count.
    package var sessions = 1_000
    package var sessionsPerSite = 20
    package var sessionLifetime = Timestamp.Span.seconds(30)
    package var sessionIdle = Timestamp.Span.seconds(5)
    /// RFC 5321 section 4.5.3.1.8 promises 100 everywhere.
    package var recipientsPerTransaction = 100
    /// Works kept in memory, in all; a site may hold half of it, a customer at a site a quarter.
    package var window = 20_000
    /// Octets of content kept in memory.
    package var windowOctets = 256 << 20
    /// How long a source rests for a site that refused it: the first time, the second in a row, and so on; the last one
    /// repeats. Pools may declare others.
    package var cooldown: [Timestamp.Span] = [.minutes(30), .hours(1), .hours(2), .hours(6)]
    /// So many distinct sources of a range refused by a site, with no acceptance from the range in between, open the
    /// range's breaker; 2 or more.
    package var rangeBreaker = 8
    /// A site that turned a source or a range away is shown one session in this time from each range, to see.
    package var probeInterval = Timestamp.Span.seconds(10)
    /// How long a source that cannot be bound is left alone.
    package var unboundRest = Timestamp.Span.minutes(1)
    /// What one customer may spoil; nil: nobody is held for it.
    package var burns: BurnBudget? = BurnBudget()
    /// 8-bit content that no host of a site takes by name (RFC 6152) fails with 5.6.3; else it goes as it is.
    package var refusesEightBit = true
    /// Where mail exchangers listen.
    package var port = 25

    package init() {}
}
