import Mail

/// Goes through what waits, a page at a time, so that nobody waits for it: fresh messages first, since they are filed
/// while it runs, then all that is filed, in order of id. What is filed meanwhile may be seen, each work once.
struct QueueScan {
    private let queue: MailQueue
    private let filter: QueueFilter
    private var sites: [String: String?] = [:]
    /// Fresh ones that were seen; they may be met again as filed. A few seconds of arrivals.
    private var seen: Set<MessageID> = []
    private var stage: Stage
    /// Rows that were looked at.
    private(set) var looked = 0

    private enum Stage {
        /// By name, from the lowest id on.
        case named([MessageID])
        case fresh(after: MessageID)
        case filed(after: MessageID)
        case end
    }

    /// Rows a page: some 10 ms.
    private static let page = 2_000
    /// Messages a page where they are looked up one by one.
    private static let namedPage = 200

    init(_ queue: MailQueue, _ filter: QueueFilter) {
        self.queue = queue
        self.filter = filter
        stage = filter.ids.isEmpty ? .fresh(after: MessageID(value: 0)) : .named(filter.ids.sorted())
    }

    /// The next of what the filter admits, states annotated; it may be empty with more to come. nil at the end.
    mutating func next() throws -> [FiledWork]? {
        let found: [FiledWork]
        switch stage {
        case .end: return nil
        case .named(let ids):
            found = try named(ids.prefix(Self.namedPage))
            let rest = ids.dropFirst(Self.namedPage)
            stage = rest.isEmpty ? .end : .named(Array(rest))
        case .fresh(let after):
            let page = try queue.parts.store.unfiled(after: after, limit: Self.page)
            looked += page.count
            seen.formUnion(page.map(\.message.id))
            found = page.filter { filter.admits($0) }.flatMap { stored in
                QueueEntry.Part.fresh(stored).map {
                    FiledWork(message: stored.message.id, customer: stored.message.customer, part: $0)
                }
            }
            stage =
                page.count < Self.page
                ? .filed(after: MessageID(value: 0)) : .fresh(after: page.last?.message.id ?? after)
        case .filed(let after):
            let page = try queue.parts.store.filed(filter, after: after, limit: Self.page)
            looked += page.looked
            found = seen.isEmpty ? page.works : page.works.filter { !seen.contains($0.message) }
            stage = page.next.map { .filed(after: $0) } ?? .end
        }
        return admitted(found)
    }

    private mutating func named(_ ids: ArraySlice<MessageID>) throws -> [FiledWork] {
        looked += ids.count
        return try ids.flatMap { id -> [FiledWork] in
            guard let entry = try queue.parts.store.entry(id),
                filter.customer.map({ $0 == entry.message.customer }) ?? true, filter.admits(entry.message.sender)
            else { return [] }
            return entry.works.filter { filter.mayAdmit(id, domain: $0.domain, customer: entry.message.customer) }
                .map { FiledWork(message: id, customer: entry.message.customer, part: $0) }
        }
    }

    private mutating func admitted(_ works: [FiledWork]) -> [FiledWork] {
        let now = queue.parts.time.now()
        var admitted: [FiledWork] = []
        for var work in works {
            queue.parts.shared.annotate(&work.part, of: work.message, at: now)
            if filter.admits(work.part, site: { site(of: $0) }) { admitted.append(work) }
        }
        return admitted
    }

    /// Of a domain that was never tried; asked for once.
    private mutating func site(of domain: String) -> String? {
        if let known = sites[domain] { return known }
        if sites.count >= 10_000 { sites.removeAll() }
        let name = queue.site(of: domain)?.name
        sites[domain] = .some(name)
        return name
    }
}
