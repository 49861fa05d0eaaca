import Mail
import NIOCore

/// Slows down whoever guesses passwords, and nobody else.
///
/// A wrong answer comes later and later, by address and by account; the right one never waits for it. An address that
/// has guessed too often is heard only once in a while. One that has logged in well to this account before is always
/// heard, so that nobody locks the owner out, not even from the same household.
struct LoginBrake {
    /// Bounds and times; a test has others.
    struct Settings {
        /// After the first wrong password; each further one doubles it.
        var firstDelay = TimeAmount.milliseconds(250)
        /// A client gives up after minutes; a person tries again after seconds.
        var longestDelay = TimeAmount.seconds(8)
        /// Wrong passwords after which an address is heard only now and then: typing errors and an old phone at home
        /// stay far below it.
        var patience = 20
        var heardEvery = TimeAmount.seconds(10)
        /// In this time half of what somebody did wrong is forgotten.
        var halfLife = TimeAmount.minutes(10)
        /// How long an address counts as the owner's after its last login.
        var friendship = TimeAmount.hours(24 * 30)
        /// Addresses, accounts and friends each. At some 100 octets these are a few MB.
        var entries = 10_000
    }

    private struct Failures {
        var count: Int
        var last: NIODeadline
        /// When an address out of patience is heard again.
        var heard: NIODeadline
    }

    private let settings: Settings
    private var addresses: [IPAddress: Failures] = [:]
    private var users: [String: Failures] = [:]
    private var friends: [KnownLogin: NIODeadline] = [:]
    /// Those that came, or came again after a day, since they were taken last.
    private var fresh: Set<KnownLogin> = []

    init(_ settings: Settings = Settings()) {
        self.settings = settings
    }

    /// Of each table.
    var entries: [Int] { [addresses.count, users.count, friends.count] }

    func isFriend(_ user: String, _ client: IPAddress, at now: NIODeadline) -> Bool {
        friends[KnownLogin(user: user, address: Self.key(client))].map { now < $0 + settings.friendship } ?? false
    }

    /// - Returns: whether a password of this client is looked at now.
    mutating func hears(_ user: String, from client: IPAddress, at now: NIODeadline) -> Bool {
        if isFriend(user, client, at: now) { return true }
        let key = Self.key(client)
        guard let failures = addresses[key], count(failures, now) >= settings.patience else { return true }
        guard failures.heard <= now else { return false }
        addresses[key]?.heard = now + settings.heardEvery
        return true
    }

    /// - Parameter user: nil where there is no such account, so that names nobody has fill no table.
    /// - Returns: how long the answer is to wait.
    mutating func failed(_ user: String?, from client: IPAddress, at now: NIODeadline) -> TimeAmount {
        var count = note(Self.key(client), in: \.addresses, now)
        if let user { count = max(count, note(user, in: \.users, now)) }
        let doublings = min(max(count - 1, 0), 20)
        let delay = settings.firstDelay.nanoseconds.multipliedReportingOverflow(by: 1 << doublings)
        return delay.overflow ? settings.longestDelay : min(.nanoseconds(delay.partialValue), settings.longestDelay)
    }

    mutating func succeeded(_ user: String, from client: IPAddress, at now: NIODeadline) {
        let friend = KnownLogin(user: user, address: Self.key(client))
        if friends[friend].map({ now >= $0 + .hours(24) }) ?? true, fresh.count < settings.entries {
            fresh.insert(friend)
        }
        // Within a day it is not written down again, so its time stays.
        if let seen = friends[friend], now < seen + .hours(24) { return }
        if friends[friend] == nil, friends.count >= settings.entries {
            friends = friends.filter { now < $0.value + settings.friendship }
            // Those who have not come for longest are the least likely to come again.
            if friends.count >= settings.entries {
                let median = friends.values.sorted()[friends.count / 2]
                friends = friends.filter { $0.value > median }
            }
        }
        friends[friend] = now
    }

    // MARK: over restarts

    mutating func takeFriends() -> [KnownLogin] {
        defer { fresh = [] }
        return Array(fresh)
    }

    /// Goes on with friends of an earlier run, as if they had just come.
    mutating func welcome(_ known: [KnownLogin], at now: NIODeadline) {
        for friend in known.prefix(settings.entries) { friends[friend] = now }
    }

    /// - Returns: how often it failed lately.
    private mutating func note<Key: Hashable>(
        _ key: Key, in table: WritableKeyPath<LoginBrake, [Key: Failures]>, _ now: NIODeadline
    ) -> Int {
        if let failures = self[keyPath: table][key] {
            let (sum, overflow) = count(failures, now).addingReportingOverflow(1)
            let count = overflow ? Int.max : sum
            self[keyPath: table][key]?.count = count
            self[keyPath: table][key]?.last = now
            return count
        }
        if self[keyPath: table].count >= settings.entries {
            let (limit, all) = (settings, self[keyPath: table])
            self[keyPath: table] = all.filter { now < $0.value.last + limit.halfLife }
            // More guessers at once than there is room for: those who have guessed once are forgotten first.
            if self[keyPath: table].count >= settings.entries {
                self[keyPath: table] = self[keyPath: table].filter { $0.value.count > 1 }
            }
            guard self[keyPath: table].count < settings.entries else { return 1 }
        }
        self[keyPath: table][key] = Failures(count: 1, last: now, heard: now)
        return 1
    }

    private func count(_ failures: Failures, _ now: NIODeadline) -> Int {
        let passed = max(0, (now - failures.last).nanoseconds)
        return failures.count >> min(Int(passed / max(1, settings.halfLife.nanoseconds)), 62)
    }

    /// A household or server has a whole /64 of IPv6 to connect from.
    private static func key(_ client: IPAddress) -> IPAddress {
        client.isIPv4 ? client : IPAddress(high: client.high, low: 0)
    }
}
