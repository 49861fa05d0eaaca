import Delivery
import Dispatch
import Logging
import Mail
import Synchronization

/// Keeps what operators said: writes it down, has the planner heed it, and notices when it is over.
final class SteeringBook: Sendable {
    private let file: SteeringFile
    private let apply: @Sendable (StandingOrders) -> Void
    private let time: any TimeSource
    private let logger: Logger
    private let orders: Mutex<StandingOrders>

    /// Names that may be suspended at a time: people write these.
    static let suspensions = 10_000

    /// - Parameter apply: what carries the orders out; called with those of the file.
    /// - Throws: ``SteeringFile/Fault`` when the file is there and cannot be read.
    init(
        file: SteeringFile, time: any TimeSource = SystemTime(), logger: Logger,
        apply: @escaping @Sendable (StandingOrders) -> Void
    ) throws {
        self.file = file
        self.apply = apply
        self.time = time
        self.logger = logger
        let kept = try file.read().inForce(at: time.now())
        orders = Mutex(kept)
        apply(kept)
    }

    /// What is in force.
    var current: StandingOrders {
        let now = time.now()
        return orders.withLock { $0 }.inForce(at: now)
    }

    /// Changes orders: on disk first, then in the planner. Blocks.
    ///
    /// - Throws: ``SteeringFile/Fault``, and then nothing has changed.
    func change<Answer>(_ body: (inout StandingOrders, Timestamp) -> Answer) throws(SteeringFile.Fault) -> Answer {
        let now = time.now()
        return try orders.withLock { (orders: inout StandingOrders) throws(SteeringFile.Fault) -> Answer in
            var changed = orders.inForce(at: now)
            let answer = body(&changed, now)
            guard changed != orders else { return answer }
            try file.write(changed)
            orders = changed
            apply(changed)
            return answer
        }
    }

    /// Logs what has ended by itself since the last look. The planner needs nobody to tell it.
    func noticeEnds() {
        let now = time.now()
        // Whoever holds the lock may be waiting for the disk; the next look will do.
        let ended = orders.withLockIfAvailable { orders in
            guard let end = orders.nextEnd, end <= now else { return ([IPAddress](), [String]()) }
            let holds = orders.holds.filter { $0.value.order.isOver(at: now) }.map(\.key)
            let names = orders.suspensions.filter { $0.value.isOver(at: now) }.map(\.key)
            orders = orders.inForce(at: now)
            return (holds, names)
        }
        guard let (holds, suspensions) = ended else { return }
        if !holds.isEmpty {
            logger.notice(
                "sources are in use again, their time is over", metadata: ["sources": "\(Self.said(holds))"])
        }
        for name in suspensions.sorted() {
            logger.notice("mail for a site goes again, its time is over", metadata: ["site": "\(name)"])
        }
    }

    /// A few runs of addresses.
    static func said(_ addresses: [IPAddress]) -> String {
        let runs = AddressRun.runs(of: addresses)
        return runs.prefix(5).map(\.description).joined(separator: " ")
            + (runs.count > 5 ? " and \(runs.count - 5) more" : "")
    }
}
