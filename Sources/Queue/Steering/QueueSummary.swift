package import Mail

/// What waits, by receiver and by customer: how much, how old, why, and what comes next.
package struct QueueSummary: Sendable {
    /// Some of what waits.
    package struct Group: Sendable {
        package var name: String
        package var messages = 0
        package var recipients = 0
        /// Recipients by the state that they are in.
        package var states: [QueueEntry.State: Int] = [:]
        /// When the first of it was accepted.
        package var oldest = Timestamp.distantFuture
        /// When the first of it is due that is neither held nor with Delivery; nil when nothing is.
        package var next: Timestamp?
        /// The most frequent last refusals, with their recipients, the most frequent first.
        package var reasons: [(text: String, recipients: Int)] = []
        /// Nothing is sent there before then, and why; of a receiver alone.
        package var until: Timestamp?
        package var why: String?
    }

    package var total: Group
    /// Those with most recipients first.
    package var sites: [Group]
    package var customers: [Group]
    /// Receivers that are counted under ``others`` because there are too many.
    package static let others = "(others)"
}

extension MailQueue {
    /// Groups what a filter means, page by page, so that nobody else waits. Blocks: not for an event loop or the
    /// cooperative pool.
    ///
    /// - Parameter watch: told now and then how many rows were looked at; false when nobody waits any more.
    /// - Returns: nil when nobody waited for it.
    package func summary(_ filter: QueueFilter, watch: (Int) -> Bool = { _ in true }) throws -> QueueSummary? {
        var scan = QueueScan(self, filter)
        let total = Tally("")
        var sites = Tallies()
        var customers = Tallies()
        var names = SiteNames(queue: self)
        while let works = try scan.next() {
            for work in works {
                let count = work.part.recipients.lazy.filter { filter.admits($0) }.count
                total.add(work, recipients: count)
                customers.tally(work.customer).add(work, recipients: count)
                sites.tally(names.name(of: work.part)).add(work, recipients: count)
            }
            guard watch(scan.looked) else { return nil }
        }
        return QueueSummary(
            total: total.group, sites: sites.groups.map { names.noted($0) }, customers: customers.groups)
    }
}

/// The receivers of domains, each asked for once.
private struct SiteNames {
    let queue: MailQueue
    private var notes: [String: SiteNote?] = [:]
    /// What is known of receivers by their own names.
    private var sites: [String: SiteNote] = [:]

    init(queue: MailQueue) {
        self.queue = queue
    }

    /// Where it goes now, or else where it was tried last, or else its domain.
    mutating func name(of part: QueueEntry.Part) -> String {
        if let relay = part.progress.relay { return name(ofRelay: "relay \(relay.name)") }
        if let known = notes[part.domain] { return known?.name ?? part.progress.site ?? part.domain }
        if notes.count >= Tallies.limit { notes.removeAll() }
        let note = queue.site(of: part.domain)
        notes[part.domain] = .some(note)
        if let note, sites.count < Tallies.limit { sites[note.name] = note }
        return note?.name ?? part.progress.site ?? part.domain
    }

    /// Delivery knows a relay under this name as it knows a domain.
    private mutating func name(ofRelay name: String) -> String {
        if notes[name] == nil, notes.count < Tallies.limit {
            notes[name] = .some(queue.site(of: name))
            sites[name] = notes[name] ?? nil
        }
        return name
    }

    func noted(_ group: QueueSummary.Group) -> QueueSummary.Group {
        guard let note = sites[group.name] else { return group }
        var group = group
        group.until = note.until
        group.why = note.why
        return group
    }
}

/// Groups by name, no more than a summary has use for.
private struct Tallies {
    private var all: [String: Tally] = [:]

    static let limit = 20_000

    mutating func tally(_ name: String) -> Tally {
        if let known = all[name] { return known }
        guard all.count < Self.limit || name == QueueSummary.others else { return tally(QueueSummary.others) }
        let tally = Tally(name)
        all[name] = tally
        return tally
    }

    var groups: [QueueSummary.Group] {
        all.values.map(\.group).sorted { ($1.recipients, $0.name) < ($0.recipients, $1.name) }
    }
}

/// A group while it is counted.
private final class Tally {
    private var counted: QueueSummary.Group
    private var last: MessageID?
    private var reasons: [String: Int] = [:]

    /// Different words; receivers that never say the same twice are cut off here.
    private static let reasonLimit = 100
    private static let shown = 3

    init(_ name: String) {
        counted = QueueSummary.Group(name: name)
    }

    func add(_ work: FiledWork, recipients: Int) {
        let part = work.part
        if last != work.message { counted.messages += 1 }
        last = work.message
        counted.recipients += recipients
        counted.states[part.state, default: 0] += recipients
        counted.oldest = min(counted.oldest, work.message.accepted)
        if part.state == .waiting || part.state == .due {
            counted.next = min(counted.next ?? part.progress.due, part.progress.due)
        }
        let reason =
            part.hold.map { "held: \($0.reason)" } ?? part.progress.lastRefusal ?? "no attempt was answered yet"
        if reasons[reason] != nil || reasons.count < Self.reasonLimit { reasons[reason, default: 0] += recipients }
    }

    var group: QueueSummary.Group {
        var group = counted
        let sorted = reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        group.reasons = sorted.prefix(Self.shown).map { ($0.key, $0.value) }
        return group
    }
}
