package import Logging
package import Mail

/// Holds all that a store has before a queue runs on it: nothing is handed out, told or expired meanwhile.
package struct Standstill {
    private let store: any QueueStore
    private let trace: any TraceSink
    private let time: any TimeSource
    private let log: Logger

    /// Works a transaction; nobody waits for another.
    private static let batch = 2_000

    package init(
        store: any QueueStore, trace: any TraceSink, time: any TimeSource = SystemTime(), logger: Logger
    ) {
        self.store = store
        self.trace = trace
        self.time = time
        log = logger
    }

    /// Opens the store, files what is fresh in it, and holds every work that is not held yet. Blocks. Cut off at any
    /// point, it is done again.
    ///
    /// - Parameter hold: since when the works stand still; what passed since then does not count for their deadlines.
    /// - Returns: how many messages and recipients were held by it.
    /// - Throws: ``StoreFailure``.
    package func run(_ hold: Hold) throws -> SteeringCount {
        _ = try Recovery(store: store, time: time, log: log).run()
        var count = SteeringCount()
        var next: MessageID? = MessageID(value: 0)
        while let after = next {
            let page = try store.filed(QueueFilter(), after: after, limit: Self.batch)
            next = page.next
            count.looked += page.looked
            try self.hold(page.works.filter { $0.part.hold == nil }, hold, &count)
        }
        return count
    }

    private func hold(_ works: [FiledWork], _ hold: Hold, _ count: inout SteeringCount) throws {
        guard !works.isEmpty else { return }
        var batch = StoreBatch(at: time.now())
        batch.steered = works.map { Steering(key: $0.key, change: .hold(hold)) }
        let results = try store.write(batch).steered
        var held: Set<MessageID> = []
        var events: [TraceEvent] = []
        for (work, result) in zip(works, results) where result.changed {
            held.insert(work.message)
            count.recipients += work.part.recipients.count
            events.append(
                .steered(
                    TraceEvent.Steered(
                        message: work.message, at: batch.at, how: .held, domain: work.part.domain, by: hold.by,
                        reason: hold.reason)))
        }
        // A page has all works of its messages.
        count.messages += held.count
        trace.record(events)
    }
}
