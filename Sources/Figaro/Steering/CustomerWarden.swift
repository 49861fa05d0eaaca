import Delivery
import Dispatch
import Logging
import Mail
import Queue

/// Carries out what is ordered about customers: writes it down, holds in the queue what waits of them, and lets it go.
///
/// The planner sends nothing of a held customer from the moment on in which it decided so; the queue comes after it.
final class CustomerWarden: Sendable {
    private let queue: MailQueue
    private let book: SteeringBook
    private let logger: Logger
    /// One at a time, and away from whoever asks: it waits for the disk.
    private let turn = DispatchQueue(label: "figaro-customers")

    init(queue: MailQueue, book: SteeringBook, logger: Logger) {
        self.queue = queue
        self.book = book
        self.logger = logger
    }

    /// How the reason of such a hold begins, by which a release finds it: what was held one by one stays held.
    static func reason(_ customer: String) -> String { "customer \(customer) is held: " }

    /// Called by the planner's hands: at a new order, and when mail of a held customer came.
    func holdBurner(_ customer: String, _ order: StandingOrders.Order, isNew: Bool) {
        turn.async { [self] in
            do {
                if isNew {
                    try keep(customer, order)
                    logger.critical(
                        "customer held: its mail burns sources",
                        metadata: ["customer": "\(customer)", "reason": "\(order.reason)"])
                }
                try hold(customer)
            } catch {
                logger.critical(
                    "a held customer's mail is not marked as held, it is tried again with its next message",
                    metadata: ["customer": "\(customer)", "error": "\(error)"])
            }
        }
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
}
