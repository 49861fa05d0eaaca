import Delivery
import Logging
import Storage

/// Hands what the planner remembers of ways to the store that keeps it over restarts, and its news to the log.
final class PathMemoryKeeper: PathKeeper {
    private let store: PathStore
    private let logger: Logger

    init(store: PathStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// What was kept when the relay last ran; given out once.
    func rows() -> [PathRow] {
        store.takeKept().compactMap { row in
            PathRow.Kind(rawValue: row.key.kind).map { kind in
                PathRow(
                    kind: kind, site: row.key.receiver, key: row.key.name,
                    value: String(decoding: row.value, as: UTF8.self), expires: row.expires)
            }
        }
    }

    func keep(_ rows: [PathRow]) {
        store.note(
            rows.map { row in
                let key = PathStore.Key(receiver: row.site, kind: row.kind.rawValue, name: row.key)
                guard let value = row.value else { return .forget(key) }
                return .keep(PathStore.Row(key: key, value: Array(value.utf8), expires: row.expires))
            })
    }

    func tell(_ news: [PathNews]) {
        for item in news {
            var metadata: Logger.Metadata = ["site": "\(item.site)", "why": "\(item.why)"]
            if let source = item.source { metadata["source"] = "\(source)" }
            logger.notice("\(item.what.rawValue)", metadata: metadata)
        }
    }
}
