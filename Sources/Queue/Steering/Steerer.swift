package import Mail
import NIOCore
import Synchronization

/// How much an order meant, and how far it came.
package struct SteeringCount: Sendable, Hashable {
    /// Messages and recipients that were changed, or would be.
    package var messages = 0
    package var recipients = 0
    /// Works that the filter meant and that there was nothing to change about.
    package var unchanged = 0
    /// Works that were being sent: those of an order that stops mail are held when their attempt fails.
    package var onWire = 0
    /// Works that are with Delivery, where the order was to try them.
    package var inHand = 0
    /// Rows looked at.
    package var looked = 0
    /// Some of the messages.
    package var examples: [MessageID] = []
    /// Nobody waited for the rest of it.
    package var isBroken = false

    package init() {}
}

/// Carries out one order, on the thread of whoever asks.
///
/// The works that a filter means are read in pages and changed in transactions of a few hundred, so that new mail waits
/// for none of it longer than for any other transaction. Each is taken (``Ledger/seize(_:)``) before it is changed, so
/// that it is not handed out meanwhile. What is with Delivery already cannot be taken:
///
/// 1. Where the order stops mail, its row is held, which nothing undoes but a release.
/// 2. Delivery gives back what is not on the wire (``Dispatcher/recall(_:)``). That is asked for on the reader thread,
///    the only one that hands out filed works: what it read before the row was held has arrived by then.
/// 3. What came back is taken like any other. What is on the wire stays held: it ends by its attempt, or is held after.
struct Steerer {
    private let queue: MailQueue
    private let order: SteeringOrder
    private let filter: QueueFilter
    private let watch: (SteeringCount) -> Bool
    private var count = SteeringCount()
    private var last: MessageID?
    /// With Delivery, to be asked back.
    private var inHand: [AskedSteering.Target] = []
    /// Domains whose mail is to be tried now; bounded, as the rest is named in its turn anyway.
    private var lifted: Set<String> = []

    /// Works a transaction: some 10 ms of it.
    private static let batch = 400
    /// Works that are asked back at a time.
    private static let recall = 4_000
    /// How long what came back may take to be written, and a store to put what it has into its place.
    private static let patience = TimeAmount.seconds(10)
    private static let examples = 5

    /// - Parameter watch: told of each batch; false when nobody waits any more.
    init(_ queue: MailQueue, _ order: SteeringOrder, _ filter: QueueFilter, watch: @escaping (SteeringCount) -> Bool) {
        self.queue = queue
        self.order = order
        self.filter = filter
        self.watch = watch
    }

    mutating func run(isDry: Bool) throws -> SteeringCount {
        var scan = QueueScan(queue, filter)
        var gathered: [AskedSteering.Target] = []
        while !count.isBroken, let works = try scan.next() {
            count.looked = scan.looked
            let targets = works.filter { order.means($0.part) }.map { target(of: $0) }
            count.unchanged += works.count - targets.count
            if isDry { targets.forEach { note($0) } } else { gathered += targets }
            count.isBroken = !watch(count)
            while gathered.count >= Self.batch, !count.isBroken {
                try change(Array(gathered.prefix(Self.batch)))
                gathered.removeFirst(Self.batch)
            }
        }
        if !count.isBroken, !gathered.isEmpty { try change(gathered) }
        try settleInHand()
        return count
    }

    private func target(of work: FiledWork) -> AskedSteering.Target {
        var target = AskedSteering.Target(
            key: work.key, customer: work.customer, recipients: nil, count: work.part.recipients.count)
        guard filter.recipient != nil, order.verb.ends else { return target }
        let meant = work.part.recipients.filter { filter.admits($0) }
        target.recipients = Set(meant)
        target.count = meant.count
        return target
    }

    private mutating func note(_ target: AskedSteering.Target) {
        count.recipients += target.count
        // They come in order of messages.
        guard last != target.key.message else { return }
        last = target.key.message
        count.messages += 1
        if count.examples.count < Self.examples { count.examples.append(target.key.message) }
    }

    // MARK: Changing

    private mutating func change(_ targets: [AskedSteering.Target]) throws {
        if order.verb == .retry { lift(targets) }
        let outcome = try write(targets)
        outcome.changed.forEach { note($0) }
        count.unchanged += outcome.unchanged.count
        if order.verb.stops {
            inHand += outcome.inHand
            if inHand.count >= Self.recall { try settleInHand() }
        } else if order.verb == .retry {
            count.inHand += outcome.inHand.count
        }
        if !watch(count) { count.isBroken = true }
    }

    /// Before their rows are due, and each domain once: what fails again meanwhile is put off again.
    private mutating func lift(_ targets: [AskedSteering.Target]) {
        let domains = Set(targets.lazy.map(\.key.domain)).subtracting(lifted)
        guard !domains.isEmpty, lifted.count < 10_000 else { return }
        lifted.formUnion(domains)
        queue.parts.shared.dispatcher?.lift(domains: domains.sorted())
    }

    private func write(
        _ targets: [AskedSteering.Target], _ order: SteeringOrder? = nil
    ) throws -> AskedSteering.Outcome {
        let order = order ?? self.order
        let until = NIODeadline.now() + Self.patience
        while queue.parts.store.isBehind, .now() < until { Bell().wait(nanoseconds: 5_000_000) }
        let answer = Awaited<AskedSteering.Outcome>()
        queue.parts.inbox.add(AskedSteering(order: order, targets: targets) { answer.tell($0) })
        return try answer.wait(queue.parts.inbox)
    }

    /// Asks back what is with Delivery, and ends what came back.
    private mutating func settleInHand() throws {
        guard !inHand.isEmpty else { return }
        var left = inHand
        inHand = []
        let wired = try recall(left.map(\.key))
        count.onWire += wired.count
        guard order.verb.ends else { return }
        try letGo(left.filter { wired.contains($0.key) })
        left.removeAll { wired.contains($0.key) }
        let until = NIODeadline.now() + Self.patience
        while !left.isEmpty {
            var again: [AskedSteering.Target] = []
            for start in stride(from: 0, to: left.count, by: Self.batch) {
                let outcome = try write(Array(left[start..<min(start + Self.batch, left.count)]))
                for target in outcome.changed { note(target) }
                count.unchanged += outcome.unchanged.count
                again += outcome.inHand
            }
            left = again
            guard !left.isEmpty else { return }
            guard .now() < until else {
                count.onWire += left.count
                return try letGo(left)
            }
            // Delivery's answer rides in with the next commit, 20 ms later at most.
            Bell().wait(nanoseconds: 20_000_000)
            if !watch(count) { count.isBroken = true }
        }
    }

    /// Of a work that is on the wire and that only some recipients were meant of, nobody is held back.
    private func letGo(_ targets: [AskedSteering.Target]) throws {
        let parts = targets.filter { $0.isMarked && $0.recipients != nil }
        guard !parts.isEmpty else { return }
        _ = try write(parts, SteeringOrder(.release, by: order.by, reason: "it is being sent"))
    }

    private func recall(_ keys: [WorkKey]) throws -> Set<WorkKey> {
        guard let dispatcher = queue.parts.shared.dispatcher else { return [] }
        let answer = Awaited<Set<WorkKey>>()
        queue.requests.add(errand: { answer.tell(Set(dispatcher.recall(Set(keys)))) })
        return try answer.wait(queue.parts.inbox)
    }
}

extension SteeringOrder {
    /// There may be something to change about it.
    func means(_ part: QueueEntry.Part) -> Bool {
        switch verb {
        case .hold: part.hold == nil
        case .release: part.hold != nil
        case .retry: part.hold == nil && (part.state == .waiting || part.state == .due)
        case .delete, .bounce: true
        }
    }
}

/// What another thread answers.
private final class Awaited<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let bell = Bell()

    func tell(_ value: Value) {
        self.value.withLock { $0 = value }
        bell.ring()
    }

    /// - Throws: ``StoreFailure`` when the queue is closed before it comes.
    func wait(_ inbox: Inbox) throws -> Value {
        var closing = 0
        while true {
            let found = value.withLock { value in
                defer { value = nil }
                return value
            }
            if let found { return found }
            // What was taken in before is still written.
            if inbox.isClosing { closing += 1 }
            guard closing < 50 else { throw StoreFailure(.failed, "the relay is going down") }
            bell.wait(nanoseconds: 100_000_000)
        }
    }
}

extension MailQueue {
    /// Carries out an order on all that a filter means. Blocks: not for an event loop or the cooperative pool.
    ///
    /// - Parameters:
    ///   - isDry: changes nothing, and counts what would be.
    ///   - watch: told now and then how far it came; false when nobody waits any more. What was changed by then stays.
    /// - Throws: ``StoreFailure``; what was changed before it stays.
    package func steer(
        _ order: SteeringOrder, _ filter: QueueFilter, isDry: Bool = false,
        watch: @escaping (SteeringCount) -> Bool = { _ in true }
    ) throws -> SteeringCount {
        var steerer = Steerer(self, order, filter, watch: watch)
        return try steerer.run(isDry: isDry)
    }
}
