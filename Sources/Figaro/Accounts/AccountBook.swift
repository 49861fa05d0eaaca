import Foundation
import Intake
import Logging
import Mail
import Queue
import Storage
import Synchronization

/// The accounts that are kept in the spool, beside the customers of the node's file: on disk first, then for sessions.
final class AccountBook: Sendable {
    private let store: AccountStore
    private let time: any TimeSource
    private let accounts: Mutex<[String: AccountRecord]>
    private let apply = Mutex<@Sendable (KeptCustomers) -> Void>({ _ in })

    /// - Throws: ``StoreFailure`` when the file cannot be read, and ``RefusedOrder`` for a record in it.
    init(store: AccountStore, time: any TimeSource = SystemTime()) throws {
        self.store = store
        self.time = time
        var accounts: [String: AccountRecord] = [:]
        for row in try store.all() {
            do {
                accounts[row.name] = try JSONDecoder().decode(AccountRecord.self, from: Data(row.record.utf8))
            } catch {
                throw RefusedOrder(why: "accounts.sqlite: the account “\(row.name)” cannot be read: \(error)")
            }
        }
        _ = try KeptCustomers(accounts)
        self.accounts = Mutex(accounts)
    }

    /// - Parameter apply: what the relay goes by; called with what is kept now, and with every change.
    func tell(_ apply: @escaping @Sendable (KeptCustomers) -> Void) {
        self.apply.withLock { $0 = apply }
        tellAgain()
    }

    /// What is declared beside them has changed.
    func tellAgain() {
        accounts.withLock { accounts in
            guard let kept = try? KeptCustomers(accounts) else { return }
            apply.withLock { $0 }(kept)
        }
    }

    var current: [String: AccountRecord] { accounts.withLock { $0 } }

    /// Changes accounts. Blocks.
    ///
    /// - Throws: ``RefusedOrder`` of the body or for a record that makes no customer, ``StoreFailure``; nothing has
    ///   changed then.
    func change<Answer>(
        _ body: (inout [String: AccountRecord], Timestamp) throws(RefusedOrder) -> Answer
    ) throws -> Answer {
        let now = time.now()
        return try accounts.withLock { accounts in
            var changed = accounts
            let answer = try body(&changed, now)
            guard changed != accounts else { return answer }
            let kept = try KeptCustomers(changed)
            var rows: [String: String?] = [:]
            for (name, record) in changed where accounts[name] != record { rows[name] = try Self.text(record) }
            for name in accounts.keys where changed[name] == nil { rows.updateValue(nil, forKey: name) }
            try store.write(rows, at: now)
            accounts = changed
            apply.withLock { $0 }(kept)
            return answer
        }
    }

    // MARK: habits

    private let intake = Mutex<IntakeServer?>(nil)

    /// - Parameter onBurst: called with a customer who sends far more than ever, and why one thinks so.
    func watchHabits(of intake: IntakeServer, onBurst: @escaping @Sendable (String, String) -> Void) throws {
        intake.watchHabits(try store.habits().mapValues { Habit($0) }, onBurst: onBurst)
        self.intake.withLock { $0 = intake }
    }

    /// Goes on with what customers have used of their limits, and whom they have written to. Blocks.
    func resume(_ intake: IntakeServer) throws {
        let day = UInt16(clamping: time.now().milliseconds / 86_400_000)
        let since = day < Self.recipientDays ? 0 : day - Self.recipientDays
        let key = try store.key("recipients", orElse: (0..<32).map { _ in UInt8.random(in: .min ... .max) })
        intake.resume(counts: try store.counts(), recipients: try store.recipients(since: since), key: key)
        intake.welcome(try store.friends(limit: Self.friendsLimit))
    }

    /// As many as are remembered while the relay runs, and as long.
    private static let friendsLimit = 10_000
    private static let friendDays: Int64 = 30

    /// A newsletter that comes once a year still goes to whom the customer knows.
    private static let recipientDays: UInt16 = 400

    /// Writes down what customers have used of their limits, whom they have written to, and where they have logged in
    /// from; loses nothing but that where it cannot. Blocks.
    func keepCounts() {
        guard let intake = intake.withLock({ $0 }) else { return }
        try? store.keep(counts: intake.takeCounts())
        let day = max(0, time.now().milliseconds) / 86_400_000
        try? store.keep(friends: intake.takeFriends(), day: day, since: day - Self.friendDays)
        try? store.keep(recipients: intake.takeRecipients())
    }

    /// Writes down what customers usually send; loses nothing but that where it cannot. Blocks.
    func keepHabits() {
        guard let intake = intake.withLock({ $0 }) else { return }
        try? store.keep(habits: intake.habits.mapValues(\.text))
    }

    /// Blocks.
    func close() {
        keepHabits()
        keepCounts()
        store.close()
    }

    private static func text(_ record: AccountRecord) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(record), as: UTF8.self)
    }
}
