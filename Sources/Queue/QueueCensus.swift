package import Mail
import NIOCore
import Synchronization

/// Counts filed works by receiver, state and age, for whoever watches: a piece at a time, so that asking costs the same
/// however much waits.
///
/// Each call goes on for ``budget`` at most with a pass over the two indexes that have what is counted (no row is
/// read), and none within ``pause`` after the last pass was finished. A queue of some tens of thousands is thus counted
/// anew every 15 s, a million in as many minutes as it takes a scraper to call a few dozen times; ``Figures/at`` tells
/// how old the figures are.
package final class QueueCensus: Sendable {
    /// Ages of messages in groups: up to five minutes, an hour, four hours, a day, and above.
    package static let ages: [Timestamp.Span] = [.minutes(5), .hours(1), .hours(4), .days(1)]
    private static let budget = TimeAmount.milliseconds(50)
    private static let pause = Timestamp.Span.seconds(15)
    /// Rows at a time: some milliseconds.
    private static let page = 5_000
    /// Receivers that are told by name.
    private static let top = 50
    /// Domains that are counted by name in one pass.
    private static let domains = 100_000

    package struct Figures: Sendable {
        /// When they were complete; nil before the first pass was.
        package var at: Timestamp?
        /// Those with most works by name (as traces name them; a domain where it is not known), and the rest together.
        package var sites: [(name: String, counts: CensusCounts)] = []
        package var others = CensusCounts()
        /// What waits for relays, by their names.
        package var relays: [String: RelayBacklog] = [:]
    }

    private struct State {
        var figures = Figures()
        var counting: [String: CensusCounts] = [:]
        var relays: [String: RelayBacklog] = [:]
        var place: CensusPlace?
        var isCounting = false
    }

    private let queue: MailQueue
    private let state = Mutex(State())

    package init(_ queue: MailQueue) {
        self.queue = queue
    }

    /// The last complete figures, after a piece of the next. Blocks for some 50 ms: not for an event loop or the
    /// cooperative pool. Of several who ask at once one goes on.
    package func figures() throws -> Figures {
        let now = queue.parts.time.now()
        let place = state.withLock { state -> CensusPlace? in
            let rested = state.figures.at.map { now - $0 >= Self.pause } ?? true
            guard !state.isCounting, state.place != nil || rested else { return nil }
            state.isCounting = true
            return state.place ?? .start
        }
        if let place { try count(from: place, at: now) }
        return state.withLock { $0.figures }
    }

    private func count(from place: CensusPlace, at now: Timestamp) throws {
        defer { state.withLock { $0.isCounting = false } }
        let until = NIODeadline.now() + Self.budget
        let ages = Self.ages.map { MessageID.before(Timestamp(milliseconds: now.milliseconds - $0.milliseconds)) }
        var next: CensusPlace? = place
        while let from = next, .now() < until {
            let page = try queue.parts.store.census(from: from, limit: Self.page, dueBy: now, ages: ages)
            next = page.next
            state.withLock { state in
                for (domain, counts) in page.counts {
                    let isKnown = state.counting[domain] != nil || state.counting.count < Self.domains
                    state.counting[isKnown ? domain : "", default: CensusCounts()].add(counts)
                }
                for (name, backlog) in page.relays where state.relays[name] != nil || state.relays.count < Self.top {
                    state.relays[name, default: RelayBacklog()].add(backlog)
                }
                state.place = next
            }
        }
        if next == nil { finish(at: now) }
    }

    private func finish(at now: Timestamp) {
        let (counted, relays) = state.withLock { state in
            defer { (state.counting, state.relays) = ([:], [:]) }
            return (state.counting, state.relays)
        }
        var sites: [String: CensusCounts] = [:]
        for (domain, counts) in counted {
            sites[queue.site(of: domain)?.name ?? domain, default: CensusCounts()].add(counts)
        }
        let sorted = sites.sorted { ($1.value.total, $0.key) < ($0.value.total, $1.key) }
        var figures = Figures(at: now)
        figures.relays = relays
        for (name, counts) in sorted {
            if figures.sites.count < Self.top, !name.isEmpty {
                figures.sites.append((name, counts))
            } else {
                figures.others.add(counts)
            }
        }
        let complete = figures
        state.withLock { $0.figures = complete }
    }
}

/// Works by state, each by age: as many groups as ``QueueCensus/ages``, and one more.
package struct CensusCounts: Sendable, Hashable {
    /// In the store until their time.
    package var waiting = [Int](repeating: 0, count: QueueCensus.ages.count + 1)
    /// Their time has come; those with Delivery are among them.
    package var due = [Int](repeating: 0, count: QueueCensus.ages.count + 1)
    package var held = [Int](repeating: 0, count: QueueCensus.ages.count + 1)

    package init() {}

    package var total: Int { (waiting + due + held).reduce(0, +) }

    mutating func add(_ other: CensusCounts) {
        for age in waiting.indices {
            waiting[age] += other.waiting[age]
            due[age] += other.due[age]
            held[age] += other.held[age]
        }
    }

    /// The group of a message, `ages` being the highest ids of those that old.
    package static func age(of message: MessageID, among ages: [MessageID]) -> Int {
        ages.firstIndex { message > $0 } ?? ages.count
    }
}

/// Works that wait for one relay.
package struct RelayBacklog: Sendable, Hashable {
    package var works = 0
    /// When the first of them came to it, and when the first is given up.
    package var entered = Timestamp.distantFuture
    package var until = Timestamp.distantFuture

    package init(works: Int = 0, entered: Timestamp = .distantFuture, until: Timestamp = .distantFuture) {
        self.works = works
        self.entered = entered
        self.until = until
    }

    package mutating func add(_ other: RelayBacklog) {
        works += other.works
        entered = min(entered, other.entered)
        until = min(until, other.until)
    }
}

extension RelayBacklog {
    package init(_ relay: Progress.AtRelay) { self.init(works: 1, entered: relay.entered, until: relay.until) }
}

/// Where counting goes on: first by domain through what is free, then by message through what is held, then by deadline
/// through what is at a relay, which alone reads rows.
package enum CensusPlace: Sendable, Hashable {
    case free(Lane, after: Position)
    case held(after: WorkKey)
    case relay(after: Timestamp, WorkKey)

    package static let start = CensusPlace.free(Lane(domain: "", customer: ""), after: .start)
    package static let heldStart = CensusPlace.held(after: WorkKey(message: MessageID(value: 0), domain: ""))
    package static let relayStart = CensusPlace.relay(
        after: Timestamp(milliseconds: .min), WorkKey(message: MessageID(value: 0), domain: ""))
}

package struct CensusPage: Sendable {
    /// By recipient domain.
    package var counts: [String: CensusCounts] = [:]
    /// By the name of the relay.
    package var relays: [String: RelayBacklog] = [:]
    /// nil at the end.
    package var next: CensusPlace?

    package init() {}
}
