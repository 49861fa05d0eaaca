import Delivery
import Dispatch
import Logging
import Mail
import Queue
import Synchronization

/// Carries out what is ordered about customers: writes it down, holds in the queue what waits of them, and lets it go.
///
/// The planner sends nothing of a held customer from the moment on in which it decided so; the queue comes after it.
final class CustomerWarden: Sendable {
    private let queue: MailQueue
    private let book: SteeringBook
    private let logger: Logger
    /// How many sources each receiver refused because of a customer's mail.
    private let burns: @Sendable (String) -> [String: Int]
    /// One at a time, and away from whoever asks: it waits for the disk.
    private let turn = DispatchQueue(label: "figaro-customers")
    private let administrators = Mutex<@Sendable (String) -> Address?>({ _ in nil })
    /// Notices that are being committed.
    private let underway = Mutex<Set<MessageID>>([])

    init(
        queue: MailQueue, book: SteeringBook, logger: Logger, burns: @escaping @Sendable (String) -> [String: Int]
    ) {
        self.queue = queue
        self.book = book
        self.logger = logger
        self.burns = burns
    }

    /// How the reason of such a hold begins, by which a release finds it: what was held one by one stays held.
    static func reason(_ customer: String) -> String { "customer \(customer) is held: " }

    /// Called by the planner's hands: at a new order, and when mail of a held customer came.
    func holdBurner(_ customer: String, _ order: StandingOrders.Order, isNew: Bool) {
        turn.async { [self] in
            do {
                if isNew {
                    try holdAndTell(customer, order, "its mail burns sources")
                } else {
                    try hold(customer)
                }
            } catch {
                logger.critical(
                    "a held customer's mail is not marked as held, it is tried again with its next message",
                    metadata: ["customer": "\(customer)", "error": "\(error)"])
            }
        }
    }

    /// Who holds a customer that sends far more than ever.
    static let habitName = "habit"

    /// Called by sessions: a customer sends far more than it ever did. Never blocks.
    func holdBurst(_ customer: String, _ why: String) {
        turn.async { [self] in
            guard book.current.customers[customer] == nil else { return }
            do {
                let order = StandingOrders.Order(by: Self.habitName, reason: why, since: SystemTime().now())
                try holdAndTell(customer, order, "it sends far more than it ever did")
            } catch {
                logger.critical(
                    "a customer that sends far more than it ever did could not be held",
                    metadata: ["customer": "\(customer)", "error": "\(error)"])
            }
        }
    }

    /// - Parameter administrator: who is told of a hold beside the postmaster.
    func tellAdministrators(_ administrator: @escaping @Sendable (String) -> Address?) {
        administrators.withLock { $0 = administrator }
    }

    /// Blocks.
    ///
    /// - Returns: what was held; nil when the customer is held already.
    func hold(_ customer: String, _ order: StandingOrders.Order) throws -> SteeringCount? {
        try turn.sync {
            guard book.current.customers[customer] == nil else { return nil }
            try keep(customer, order)
            logger.notice(
                "customer held",
                metadata: ["customer": "\(customer)", "by": "\(order.by)", "reason": "\(order.reason)"])
            return try hold(customer)
        }
    }

    /// Blocks.
    ///
    /// - Returns: what was let go; nil when the customer is not held.
    func release(_ customer: String, _ order: StandingOrders.Order) throws -> SteeringCount? {
        try turn.sync {
            guard try book.change({ orders, _ in orders.customers.removeValue(forKey: customer) }) != nil else {
                return nil
            }
            logger.notice(
                "customer released",
                metadata: ["customer": "\(customer)", "by": "\(order.by)", "reason": "\(order.reason)"])
            var filter = QueueFilter(customer: customer)
            filter.heldBecause = Self.reason(customer)
            return try queue.steer(SteeringOrder(.release, by: order.by, reason: order.reason), filter)
        }
    }

    /// A hold that no person ordered: the postmaster is to hear of it, whatever comes between.
    private func holdAndTell(_ customer: String, _ order: StandingOrders.Order, _ because: String) throws {
        var order = order
        order.notice = .due
        try keep(customer, order)
        logger.critical(
            "customer held: \(because)", metadata: ["customer": "\(customer)", "reason": "\(order.reason)"])
        try hold(customer)
        try tell(customer)
    }

    private func keep(_ customer: String, _ order: StandingOrders.Order) throws {
        try book.change { orders, _ in orders.customers[customer] = orders.customers[customer] ?? order }
    }

    @discardableResult
    private func hold(_ customer: String) throws -> SteeringCount {
        // It may have been released since it was asked for.
        guard let order = book.current.customers[customer] else { return SteeringCount() }
        let reason = Self.reason(customer) + order.reason
        return try queue.steer(SteeringOrder(.hold, by: order.by, reason: reason), QueueFilter(customer: customer))
    }

    // MARK: Telling the postmaster

    /// Tells of holds that the postmaster has not been told of; does nothing where there are none. Never blocks.
    func tellPostmaster() {
        turn.async { [self] in
            let untold = book.current.customers.filter { $0.value.notice != nil }.keys
            for customer in untold.sorted() {
                do {
                    try tell(customer)
                } catch {
                    logger.error(
                        "the postmaster is not told of a held customer yet",
                        metadata: ["customer": "\(customer)", "error": "\(error)"])
                }
            }
        }
    }

    /// One notice for each hold: its id is written down before it is committed, so that a crash in between is told from
    /// one after it.
    private func tell(_ customer: String) throws {
        guard var order = book.current.customers[customer] else { return }
        if case .made(let id) = order.notice {
            guard !underway.withLock({ $0.contains(id) }) else { return }
            if try queue.show(id) != nil { return try mark(customer, id, told: true) }
            try mark(customer, id, told: false)
            order.notice = .due
        }
        guard order.notice == .due, let id = queue.nextHoldNotice() else { return }
        try book.change { orders, _ in orders.customers[customer]?.notice = .made(id) }
        underway.withLock { _ = $0.insert(id) }
        let held = HeldCustomer(
            name: customer, since: order.since, why: order.reason, receivers: burns(customer),
            administrator: administrators.withLock { $0 }(customer))
        queue.tell(held, as: id) { [self] result in
            turn.async { [self] in told(customer, id, result) }
        }
    }

    private func told(_ customer: String, _ id: MessageID, _ result: CommitResult) {
        defer { underway.withLock { _ = $0.remove(id) } }
        do {
            switch result {
            case .committed:
                try mark(customer, id, told: true)
                logger.notice(
                    "the postmaster is told of a held customer",
                    metadata: ["customer": "\(customer)", "message": "\(id)"])
            case .refused(let why):
                try mark(customer, id, told: false)
                logger.error(
                    "the postmaster is not told of a held customer yet",
                    metadata: ["customer": "\(customer)", "error": "\(why)"])
            }
        } catch {
            logger.error(
                "what the postmaster was told of a held customer is not written down",
                metadata: ["customer": "\(customer)", "error": "\(error)"])
        }
    }

    private func mark(_ customer: String, _ id: MessageID, told: Bool) throws {
        try book.change { orders, _ in
            guard orders.customers[customer]?.notice == .made(id) else { return }
            orders.customers[customer]?.notice = told ? nil : .due
        }
    }
}
