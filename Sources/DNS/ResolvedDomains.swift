import NIOCore
import Synchronization

/// The cache of resolved domains that stands before the network: bounded, with the clock algorithm.
final class ResolvedDomains: Sendable {
    private let state: Mutex<State>

    /// - Parameter capacity: entries, 1 or more.
    init(capacity: Int) {
        state = Mutex(State(capacity: max(1, capacity)))
    }

    /// What is known and still holds. One short lock, no allocation.
    func find(_ domain: String, at now: NIODeadline) -> Resolution? {
        state.withLock { $0.find(domain, at: now) }
    }

    func keep(_ resolved: HostLookup.Resolved, for domain: String, at now: NIODeadline) {
        let end = now + .seconds(Int64(resolved.lifetime))
        state.withLock { $0.keep(Entry(domain: domain, resolution: resolved.resolution, end: end)) }
    }

    var count: Int { state.withLock { $0.entries.count } }

    private struct Entry {
        let domain: String
        let resolution: Resolution
        let end: NIODeadline
        /// Asked for since the hand last passed. A new entry has to earn it.
        var used = false
    }

    /// Entries stand in a circle; the hand takes the first one that was not used since it last came by.
    private struct State {
        let capacity: Int
        var places: [String: Int] = [:]
        var entries: [Entry] = []
        var hand = 0

        init(capacity: Int) {
            self.capacity = capacity
        }

        mutating func find(_ domain: String, at now: NIODeadline) -> Resolution? {
            guard let place = places[domain], entries[place].end > now else { return nil }
            entries[place].used = true
            return entries[place].resolution
        }

        mutating func keep(_ entry: Entry) {
            if let place = places[entry.domain] {
                entries[place] = entry
            } else if entries.count < capacity {
                places[entry.domain] = entries.count
                entries.append(entry)
            } else {
                while entries[hand].used {
                    entries[hand].used = false
                    advance()
                }
                places[entries[hand].domain] = nil
                places[entry.domain] = hand
                entries[hand] = entry
                advance()
            }
        }

        private mutating func advance() {
            hand = hand + 1 == entries.count ? 0 : hand + 1
        }
    }
}
