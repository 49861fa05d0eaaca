import Logging
import Mail

/// What happens before anything is accepted: finds what a crash left without a next event and gives it one.
struct Recovery {
    private let store: any QueueStore
    private let time: any TimeSource
    private let log: Logger

    /// Messages a transaction; memory holds one page.
    private static let page = 1_000

    init(store: any QueueStore, time: any TimeSource, log: Logger) {
        self.store = store
        self.time = time
        self.log = log
    }

    /// Opens the store, and files what is fresh in it.
    ///
    /// - Returns: the bounds to go on with.
    func run() throws -> StoreState {
        var state = try store.open()
        state.ceiling = try fileFresh(from: state.floor, ceiling: state.ceiling)
        return state
    }

    /// Files fresh messages as due now; Delivery, which had them in memory, asks for them like for any other.
    private func fileFresh(from floor: MessageID, ceiling: MessageID) throws -> MessageID {
        var next = floor
        var highest = ceiling
        var count = 0
        while true {
            let found = try store.fresh(from: next, limit: Self.page)
            guard let last = found.last?.message.id else { break }
            var batch = StoreBatch(at: time.now())
            for stored in found { batch.filed.append(contentsOf: stored.rows(due: batch.at)) }
            _ = try store.write(batch)
            count += found.count
            highest = max(highest, last)
            guard found.count == Self.page, last.value < .max else { break }
            next = MessageID(value: last.value + 1)
        }
        if count > 0 { log.notice("recovered messages in their first attempt", metadata: ["count": "\(count)"]) }
        return highest
    }
}

extension StoredMessage {
    fileprivate func rows(due: Timestamp) -> [WaitingRow] {
        Dictionary(grouping: recipients, by: \.domain).map { domain, recipients in
            WaitingRow(
                key: WorkKey(message: message.id, domain: domain), customer: message.customer, expires: message.expires,
                recipients: recipients, progress: Progress(due: due, of: message), onAgenda: true)
        }
    }
}
