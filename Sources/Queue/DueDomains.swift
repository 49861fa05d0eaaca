import Mail

/// Goes through the domains that are due, page by page: those that have come due since it last looked before all
/// others, then those that were named before and not taken up, in turn, so that no domain waits for another's site.
struct DueDomains {
    private let page: Int
    /// All at or before it were named.
    private var front: AgendaEntry?
    /// Where the round over those goes on; nil at its start.
    private var back: AgendaEntry?

    init(page: Int) {
        self.page = max(1, page)
    }

    /// What to name now.
    struct Page {
        var domains: [AgendaEntry]
        /// There are others to be named soon.
        var more: Bool
        /// When the next one is due.
        var next: Timestamp?
    }

    mutating func next(store: any QueueStore, now: Timestamp) throws -> Page {
        // A clock that was set back would hide what is due from the front.
        if let due = front?.due, due > now { front = nil }
        let come = try store.agenda(after: front, dueBy: now, limit: page)
        let known = front
        if let last = come.due.last { front = last }
        guard come.due.count < page, let known else {
            return Page(domains: come.due, more: come.due.count == page, next: come.next)
        }
        let room = page - come.due.count
        let again = try store.agenda(after: back, dueBy: now, limit: room).due.filter { !($0 > known) }
        back = again.count == room ? again.last : nil
        return Page(domains: come.due + again, more: back != nil, next: come.next)
    }
}

extension AgendaEntry {
    fileprivate static func > (left: AgendaEntry, right: AgendaEntry) -> Bool {
        (left.due, left.domain) > (right.due, right.domain)
    }
}
