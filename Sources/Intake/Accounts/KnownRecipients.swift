import Crypto
import Mail
import Synchronization

/// Whom customers have written to before, where a limit asks for it: a keyed digest of each address and the day of the
/// last message to it.
///
/// What is kept is bounded, of each customer and of all. At a bound the eighth that was written to longest ago is
/// forgotten, of the customer itself or of the one that has most, and counts as new when it is written to again.
final class KnownRecipients: Sendable {
    struct Bounds {
        /// Of one customer.
        var perCustomer = 100_000
        /// Of all; 53 MB at most.
        var inAll = 2_000_000
    }

    private struct State {
        var key = SymmetricKey(size: .bits256)
        var days: [String: [UInt64: UInt16]] = [:]
        var count = 0
        /// What is not on disk yet.
        var changed: [String: Set<UInt64>] = [:]
    }

    private let bounds: Bounds
    private let state = Mutex(State())

    init(_ bounds: Bounds = Bounds()) {
        self.bounds = bounds
    }

    /// - Returns: the recipient's digest where the customer has not written to it before; nil where it has.
    func stranger(_ recipient: Address, to customer: String, at now: Timestamp) -> UInt64? {
        let key = state.withLock { $0.key }
        let digest = Self.digest(recipient, customer, key)
        let day = Self.day(now)
        return state.withLock { state in
            guard let last = state.days[customer]?[digest] else { return digest }
            if last < day { set(day, digest, customer, in: &state) }
            return nil
        }
    }

    /// The customer has written to them.
    func remember(_ digests: [UInt64], of customer: String, at now: Timestamp) {
        guard !digests.isEmpty else { return }
        let day = Self.day(now)
        state.withLock { state in
            for digest in digests { set(day, digest, customer, in: &state) }
        }
    }

    func count(of customer: String) -> Int { state.withLock { $0.days[customer]?.count ?? 0 } }

    // MARK: over restarts

    /// Goes on with what an earlier run knew.
    ///
    /// - Parameter key: that its digests were made with.
    func load(_ entries: [KnownRecipient], key: [UInt8]) {
        state.withLock { state in
            state = State(key: SymmetricKey(data: key))
            for entry in entries {
                if let day = entry.day { set(day, entry.digest, entry.customer, in: &state) }
            }
            // What was read is on disk; what was too much of it is not read again.
            for (customer, digests) in state.changed {
                state.changed[customer] = digests.filter { state.days[customer]?[$0] == nil }
            }
        }
    }

    /// What has changed since the last time this was asked.
    func takeChanges() -> [KnownRecipient] {
        state.withLock { state in
            let changed = state.changed
            state.changed = [:]
            return changed.flatMap { customer, digests in
                digests.map { KnownRecipient(customer: customer, digest: $0, day: state.days[customer]?[$0]) }
            }
        }
    }

    // MARK: bounds

    private func set(_ day: UInt16, _ digest: UInt64, _ customer: String, in state: inout State) {
        state.changed[customer, default: []].insert(digest)
        guard state.days[customer, default: [:]].updateValue(day, forKey: digest) == nil else { return }
        state.count += 1
        if state.days[customer]?.count ?? 0 > bounds.perCustomer {
            Self.thin(customer, in: &state)
        } else if state.count > bounds.inAll, let most = state.days.max(by: { $0.value.count < $1.value.count }) {
            Self.thin(most.key, in: &state)
        }
    }

    private static func thin(_ customer: String, in state: inout State) {
        guard let all = state.days[customer] else { return }
        var ofDay: [UInt16: Int] = [:]
        for day in all.values { ofDay[day, default: 0] += 1 }
        var (last, room) = (UInt16.max, max(1, all.count / 8))
        for (day, count) in ofDay.sorted(by: { $0.key < $1.key }) {
            last = day
            guard count < room else { break }
            room -= count
        }
        for (digest, day) in all where day < last || (day == last && room > 0) {
            if day == last { room -= 1 }
            state.days[customer]?[digest] = nil
            state.changed[customer, default: []].insert(digest)
            state.count -= 1
        }
    }

    // MARK: digests

    /// No two customers have the same for one address, and nobody without the key can tell whose it is.
    private static func digest(_ recipient: Address, _ customer: String, _ key: SymmetricKey) -> UInt64 {
        var code = HMAC<SHA256>(key: key)
        code.update(data: Array(customer.utf8) + [0] + Array(recipient.description.lowercased().utf8))
        return code.finalize().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Up to the year 2149.
    private static func day(_ now: Timestamp) -> UInt16 { UInt16(clamping: now.milliseconds / 86_400_000) }
}
