package import Mail

/// Who stands behind a site's hosts: a provider, by the names of its hosts, or the hosts themselves. What was learned
/// about the way there belongs to it, so that fifty thousand tenants of one provider share what one of them taught.
///
/// All of it is a hint: losing it costs attempts, never mail.
final class Receiver {
    /// The name of the provider's rule, else the host that mail goes to first, with its port where that is its own.
    let name: String
    /// What is known of it from each source, by the source's address: a reload that renames sources changes nothing.
    var paths: [IPAddress: PathMemory] = [:]
    /// What is known of it from each range, by the range's name.
    var ranges: [String: RangeMemory] = [:]
    /// The sources that a greylister knows triples by.
    var pins: [Triple: Pin] = [:]
    /// Set after it complained of too much.
    var pace: Pace?
    /// Sources that it took the latest message from.
    var takers = SourceSet()
    /// What is kept of those over a restart is worth nothing after that.
    var takersExpire = Timestamp(milliseconds: 0)
    /// It is in line for being kept; see ``Planner/keepTakers()``.
    var keepsTakers = false
    /// Of all its sites: opening, busy and idle ones.
    var sessions = 0
    var meter = RateMeter()
    /// The last turn that was given to a site which waits for a probe; each gets its own.
    var lastTurn = Timestamp(milliseconds: 0)

    init(name: String) {
        self.name = name
    }

    /// Nothing is known: what happens here costs nothing.
    var isBlank: Bool { paths.isEmpty && ranges.isEmpty && pins.isEmpty && pace == nil }

    /// Whether the source, or its range, was refused and is left alone for now.
    func isResting(_ source: Source, at now: Timestamp) -> Bool {
        (paths[source.address]?.cooldown?.until ?? now) > now || (ranges[source.range]?.until ?? now) > now
    }

    /// Whether a session may be opened from the source.
    func standing(of source: Source, at now: Timestamp) -> Standing {
        if paths.isEmpty, ranges.isEmpty { return .free }
        let path = paths[source.address]
        if let rest = path?.cooldown, rest.until > now { return .rests(rest.until) }
        if let pace = path?.pace {
            let opens = pace.opens(after: now)
            if opens > now { return .rests(opens) }
            if (path?.sessions ?? 0) >= pace.sessions { return .rests(now + .seconds(1)) }
        }
        guard let range = ranges[source.range] else { return .free }
        if range.until > now { return .rests(range.until) }
        let isWarm = !range.isOpen || range.warm.contains(source.address)
        if path?.cooldown == nil, isWarm { return .free }
        return range.mayProbe(at: now) ? .probe : .rests(max(range.nextProbe, now + .seconds(1)))
    }

    /// It takes no further session.
    var isFull: Bool { pace.map { sessions >= $0.sessions } ?? false }
    var hasTooMany: Bool { pace.map { sessions > $0.sessions } ?? false }

    /// Why nothing but a probe goes there from the source, where the receiver refused it or its range.
    func refusal(of source: Source, at now: Timestamp) -> Cooldown? {
        if let rest = paths[source.address]?.cooldown, rest.until > now { return rest }
        guard let range = ranges[source.range], range.isOpen, !range.warm.contains(source.address) else { return nil }
        return range.cooldown
    }

    enum Standing: Equatable {
        case free
        /// One session with one message, to see.
        case probe
        /// Not before.
        case rests(Timestamp)
    }
}

/// What is known of one source at one receiver.
struct PathMemory {
    var cooldown: Cooldown?
    /// Set after the receiver complained of too much from this source.
    var pace: Pace?
    /// Opening, busy and idle ones.
    var sessions = 0

    var isEmpty: Bool { cooldown == nil && pace == nil }
}

/// A refusal of a source, or of its range: nothing is sent before `until`, and then a probe at a time until the level
/// is back at 0.
package struct Cooldown: Sendable, Hashable {
    /// 1 or more: how often in a row it was refused, less what successes took back.
    package var level: Int
    package var since: Timestamp
    package var until: Timestamp
    package var cause: Cause
    /// What read the refusal.
    package var rule: String
    /// The refusal's first line.
    package var reply: String
}

/// What is known of one range at one receiver.
struct RangeMemory {
    /// Distinct sources that were refused with no acceptance from the range in between; no more than trip the breaker.
    var refused: Set<IPAddress> = []
    /// The breaker's: set while it is open.
    var cooldown: Cooldown?
    /// Sources that were taken since it opened: they need no probe.
    var warm: Set<IPAddress> = []
    /// The session that probes.
    var probe: SessionID?
    var nextProbe = Timestamp(milliseconds: 0)

    /// Only probes, and sources that were taken.
    var isOpen: Bool { cooldown != nil }
    /// Nothing at all before then.
    var until: Timestamp { cooldown?.until ?? Timestamp(milliseconds: 0) }

    func mayProbe(at now: Timestamp) -> Bool { probe == nil && nextProbe <= now }
}
