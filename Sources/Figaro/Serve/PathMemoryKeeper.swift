import Delivery
import Storage

/// Hands what the planner remembers of ways to the store that keeps it over restarts.
final class PathMemoryKeeper: PathKeeper {
    private let store: PathStore

    init(store: PathStore) {
        self.store = store
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
}
