import Mail
import Queue

@testable import Delivery

/// The queue of a random world: what it does with works, due times and deadlines, as the real one does.
struct WorldQueue {
    /// Works that have not ended, as they stand in the store.
    private(set) var rows: [WorkKey: Work] = [:]
    /// Those that are with the planner.
    private(set) var out: Set<WorkKey> = []
    /// All that was ever accepted, with its recipients, and how often each of these ended.
    private(set) var accepted: [WorkKey: [Address]] = [:]
    private(set) var ends: [String: Int] = [:]
    /// Works that were on the wire when their deadline passed, and when they are ended all the same.
    private var spared: [WorkKey: Timestamp] = [:]
    /// Those that were: what comes of them then is nobody's row any more.
    private(set) var cutShort: Set<WorkKey> = []
    /// Customers whose mail is neither handed out nor expires.
    var held: [String: StandingOrders.Order] = [:]
    /// When each domain is to be named, and until when it is postponed.
    private var agenda: [String: (due: Timestamp, until: Timestamp?)] = [:]

    static let grace = Timestamp.Span.minutes(15)

    mutating func accept(_ work: Work) {
        accepted[work.key] = work.recipients
        rows[work.key] = work
        out.insert(work.key)
    }

    /// The planner has no room for it.
    mutating func takeBack(_ work: Work) {
        out.remove(work.key)
        bringForward(work.domain, work.progress.due)
    }

    // MARK: What is due

    func dueDomains(at now: Timestamp) -> (names: [String], failing: Set<String>) {
        let due = agenda.filter { $0.value.due <= now }
        return (due.keys.sorted(), Set(due.filter { $0.value.until != nil }.keys))
    }

    mutating func postpone(_ domain: String, until: Timestamp) { agenda[domain] = (until, until) }

    private mutating func bringForward(_ domain: String, _ due: Timestamp) {
        guard let entry = agenda[domain] else { return agenda[domain] = (due, nil) }
        agenda[domain]?.due = min(entry.due, max(due, entry.until ?? due))
    }

    mutating func fetch(_ domain: String, _ limit: Int, at now: Timestamp) -> (works: [Work], more: Bool) {
        let waiting = rows.values.filter { work in
            work.domain == domain && !out.contains(work.key) && held[work.message.customer] == nil
        }
        let due = waiting.filter { $0.progress.due <= now && $0.message.expires > now }
        let page = due.sorted { $0.message.id < $1.message.id }.prefix(limit)
        for work in page { out.insert(work.key) }
        guard due.count == page.count else { return (Array(page), true) }
        let next = waiting.lazy.map(\.progress.due).filter { $0 > now }.min()
        agenda[domain] = next.map { next in
            let until = agenda[domain]?.until
            return (max(next, until ?? next), until)
        }
        return (Array(page), false)
    }

    /// What a held customer has waiting is handed out again.
    mutating func letGo() {
        let customers = held
        held = [:]
        for work in rows.values where customers[work.message.customer] != nil && !out.contains(work.key) {
            bringForward(work.domain, work.progress.due)
        }
    }

    // MARK: What ends

    /// What comes of a row that is gone changes nothing; the work is no longer with the planner all the same.
    mutating func settle(_ settlement: Settlement) {
        let key = settlement.key
        if !settlement.stillHandedOut { out.remove(key) }
        guard rows[key] != nil else { return }
        for end in settlement.ended { ends["\(key.message) \(end.recipient)", default: 0] += 1 }
        rows[key] = settlement.remaining
        if let work = settlement.remaining, !settlement.stillHandedOut { bringForward(key.domain, work.progress.due) }
    }

    func late(at now: Timestamp) -> [Work] {
        rows.values.filter { $0.deadline <= now && held[$0.message.customer] == nil }
            .sorted { ($0.message.id, $0.domain) < ($1.message.id, $1.domain) }
    }

    /// Ends what is not on the wire, or has been for too long since.
    ///
    /// - Returns: those that ended.
    mutating func expire(_ late: [Work], wired: Set<WorkKey>, at now: Timestamp) -> [Work] {
        var ended: [Work] = []
        for work in late {
            let until = spared[work.key] ?? now + Self.grace
            guard !wired.contains(work.key) || until <= now else {
                spared[work.key] = until
                continue
            }
            if wired.contains(work.key) { cutShort.insert(work.key) }
            rows[work.key] = nil
            for recipient in work.recipients { ends["\(work.message.id) \(recipient)", default: 0] += 1 }
            ended.append(work)
        }
        return ended
    }
}
