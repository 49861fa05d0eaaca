import Mail
import Queue

/// A relay as metrics and `figaro top` show it.
struct RelayStanding: Codable, Sendable, Hashable {
    var name: String
    /// Works that wait for it, and how long the first of them has.
    var works: Int
    var oldestSeconds: Int
    /// Why it is not asked now.
    var blocked: String?
}

extension RelayStanding {
    /// By name: those of the map, and those that mail waits for although the map has lost them.
    ///
    /// - Parameter blocks: why those of the map are not asked now; nil of one that is.
    static func all(_ blocks: [String: String?], _ backlogs: [String: RelayBacklog], at now: Timestamp) -> [Self] {
        Set(blocks.keys).union(backlogs.keys).sorted().map { name in
            let backlog = backlogs[name]
            let waited = backlog.map { max(0, (now - $0.entered).milliseconds) / 1_000 } ?? 0
            return Self(
                name: name, works: backlog?.works ?? 0, oldestSeconds: Int(waited), blocked: blocks[name] ?? nil)
        }
    }
}
