import Mail

/// Ends what has passed its deadline, whatever Delivery is doing: a page at a time, so that a million messages that
/// expire together hold nobody up.
struct Expiry {
    private let grace: Timestamp.Span
    private let page: Int
    /// Works that were on the wire when their deadline passed, and when they are ended all the same.
    private var spared: [WorkKey: Timestamp] = [:]
    /// Where this pass over the passed deadlines goes on, and what it has spared so far.
    private var pass: (cursor: ExpiryCursor?, spared: [WorkKey: Timestamp]) = (nil, [:])

    init(_ configuration: MailQueue.Configuration) {
        grace = configuration.expiryGrace
        page = max(1, configuration.expiredWorks)
    }

    /// - Returns: whether there are more.
    mutating func run(
        store: any QueueStore, dispatcher: (any Dispatcher)?, inbox: Inbox, now: Timestamp
    ) throws -> Bool {
        let found = try store.expired(by: now, after: pass.cursor, limit: page)
        // Few rows have a deadline of their own at a relay, so that a page of them at a time is enough.
        let past = try store.pastRelay(by: now, limit: page).map(\.key)
        let keys = found.map(\.key) + past.filter { key in !found.contains { $0.key == key } }
        let onWire = Set(keys.isEmpty ? [] : dispatcher?.expire(keys) ?? [])
        var ended: [WorkKey] = []
        for key in keys {
            let until = spared[key] ?? now + grace
            if onWire.contains(key), until > now { pass.spared[key] = until } else { ended.append(key) }
        }
        inbox.expire(ended, at: now)
        guard found.count < page else {
            pass.cursor = found.last
            return true
        }
        spared = pass.spared
        pass = (nil, [:])
        return false
    }
}
