import Delivery
import Mail

/// What is remembered of the way to a receiver, as it goes over the control socket.
struct WayReport: Codable, Sendable, Hashable {
    struct Path: Codable, Sendable, Hashable {
        /// Its name, or its address where no pool has it any more.
        var source: String
        var refusal: Refusal?
        var pace: Pace?
    }

    struct Refusal: Codable, Sendable, Hashable {
        var cause: String
        /// How often in a row, less what successes took back.
        var level: Int
        var since: String
        var until: String
        var rule: String
        var reply: String
    }

    struct Range: Codable, Sendable, Hashable {
        var name: String
        /// Set while its breaker is open.
        var breaker: Refusal?
        var refused: Int
        var warm: Int
        var nextProbe: String?
    }

    struct Pace: Codable, Sendable, Hashable {
        /// Messages in a minute.
        var rate: Double
        var sessions: Int
        var until: String
        var rule: String
        var reply: String
    }

    /// The provider, or the host that mail goes to first.
    var receiver: String
    var refusedSources: Int
    var ranges: [Range]
    var greylistPins: Int
    var pace: Pace?
    /// nil in a list; of many the first.
    var paths: [Path]?

    private static let named = 100

    /// nil where nothing is known.
    init?(_ state: ReceiverState, paths withPaths: Bool) {
        guard !state.isBlank else { return nil }
        receiver = state.name
        refusedSources = state.paths.count { $0.cooldown != nil }
        ranges = state.ranges.map {
            Range(
                name: $0.name, breaker: $0.cooldown.map(Refusal.init), refused: $0.refused, warm: $0.warm,
                nextProbe: $0.nextProbe.map { UTCTime.text($0) })
        }
        greylistPins = state.pins
        pace = state.pace.map(Pace.init)
        guard withPaths else { return }
        paths = state.paths.prefix(Self.named).map {
            Path(
                source: $0.source ?? $0.address.description, refusal: $0.cooldown.map(Refusal.init),
                pace: $0.pace.map(Pace.init))
        }
    }

    /// A few words for a table.
    var summary: String {
        var words = ranges.filter { $0.breaker != nil }.map { "breaker of \($0.name) open" }
        if let pace { words.append(pace.said) }
        if greylistPins > 0 { words.append("\(greylistPins) greylist pins") }
        return words.joined(separator: ", ")
    }

    var lines: [String] {
        var lines = ["receiver  \(receiver)"]
        for range in ranges {
            guard let breaker = range.breaker else {
                lines.append("range     \(range.name): \(range.refused) of its sources refused in a row")
                continue
            }
            lines.append("breaker   of \(range.name) is open: \(breaker.said)")
            lines.append(
                "          \(range.warm) of its sources were taken since; one probe at a time"
                    + (range.nextProbe.map { ", the next at \($0)" } ?? ""))
        }
        if let pace { lines.append("pace      \(pace.said) since \(pace.rule): \(pace.reply)") }
        for path in paths ?? [] {
            if let refusal = path.refusal { lines.append("refused   \(path.source): \(refusal.said)") }
            guard let pace = path.pace else { continue }
            lines.append("slowed    \(path.source): \(pace.said), \(pace.rule): \(pace.reply)")
        }
        if greylistPins > 0 { lines.append("greylist  \(greylistPins) triples keep their source") }
        return lines
    }
}

extension WayReport.Refusal {
    init(_ cooldown: Cooldown) {
        self.init(
            cause: cooldown.cause.rawValue, level: cooldown.level, since: UTCTime.text(cooldown.since),
            until: UTCTime.text(cooldown.until), rule: cooldown.rule, reply: cooldown.reply)
    }

    var said: String { "cause \(cause), level \(level), until \(until), \(rule): \(reply)" }
}

extension WayReport.Pace {
    init(_ pace: Delivery.Pace) {
        self.init(
            rate: (pace.rate * 100).rounded() / 100, sessions: pace.sessions, until: UTCTime.text(pace.until),
            rule: pace.rule, reply: pace.reply)
    }

    var said: String { "slowed to \(rate) messages a minute, \(sessions) sessions" }
}
