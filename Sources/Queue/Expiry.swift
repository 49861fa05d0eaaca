import Mail

/// Ends what has passed its deadline, whatever Delivery is doing.
struct Expiry {
    private let grace: Timestamp.Span
    /// Works that were on the wire when their deadline passed, and when they are ended all the same.
    private var spared: [WorkKey: Timestamp] = [:]

    private static let page = 500

    init(grace: Timestamp.Span) {
        self.grace = grace
    }

    mutating func run(
        store: any QueueStore, dispatcher: (any Dispatcher)?, inbox: Inbox, now: Timestamp
    ) throws {
        var cursor: ExpiryCursor?
        var still: [WorkKey: Timestamp] = [:]
        while true {
            let page = try store.expired(by: now, after: cursor, limit: Self.page)
            let keys = page.map(\.key)
            let onWire = Set(keys.isEmpty ? [] : dispatcher?.expire(keys) ?? [])
            var ended: [WorkKey] = []
            for key in keys {
                let until = spared[key] ?? now + grace
                if onWire.contains(key), until > now { still[key] = until } else { ended.append(key) }
            }
            inbox.expire(ended, at: now)
            cursor = page.last
            if page.count < Self.page { break }
        }
        spared = still
    }
}
