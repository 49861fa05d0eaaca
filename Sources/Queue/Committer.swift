import Logging
import Mail
import NIOCore

/// The commit thread: takes everything that waits, writes it in one transaction, and only then tells.
///
/// 1. Wait for a message, or for the time by which settlements or moves must be written.
/// 2. Turn settlements of fresh messages into deletions and filings, those of filed works into row changes.
/// 3. Write the batch: one transaction, one fsync.
/// 4. Answer the commits, record the trace, hand the new works to Delivery.
///
/// When the write fails, all its messages are refused, and nothing is accepted until the store was opened anew, has
/// recovered from its log, and has written what was left of the batch.
final class Committer {
    private let store: any QueueStore
    private let contents: any ContentFiles
    private let trace: any TraceSink
    private let time: any TimeSource
    private let log: Logger
    private let configuration: MailQueue.Configuration
    private let inbox: Inbox
    private let shared: MailQueue.Shared
    private let figures: CommitFigures

    private var fresh = FreshMessages()
    private var bounds: IDBounds
    private var carried: Cycle?
    private var stateDue = NIODeadline.uptimeNanoseconds(0)

    init(_ parts: MailQueue.Parts, bounds: IDBounds) {
        store = parts.store
        contents = parts.contents
        trace = parts.trace
        time = parts.time
        log = parts.logger
        configuration = parts.configuration
        inbox = parts.inbox
        shared = parts.shared
        figures = parts.figures
        self.bounds = bounds
    }

    func run() {
        while true {
            let taken = inbox.take(wake: nextAging())
            var cycle = carried ?? Cycle(at: time.now())
            carried = nil
            fill(&cycle, with: taken)
            // Whoever asked for what turned out to be nothing is told so as well.
            if cycle.batch.isEmpty { finish(cycle, StoreResult()) } else { write(cycle) }
            if taken.last, !fresh.hasMarked || carried != nil { return }
        }
    }

    /// When the oldest fresh message is to be filed, or what is marked already.
    private func nextAging() -> NIODeadline {
        if fresh.hasMarked { return .now() + configuration.moveWithin.amount }
        guard let oldest = fresh.oldest else { return .distantFuture }
        let left = oldest + configuration.fileAfter - time.now()
        // In steps, so that messages of one moment are filed in one transaction.
        return .now() + max(left, configuration.moveWithin).amount
    }

    // MARK: Putting a batch together

    private func fill(_ cycle: inout Cycle, with taken: Inbox.Taken) {
        let now = time.now()
        cycle.batch.at = now
        cycle.take(agenda: taken)
        cycle.pending += taken.accepted
        cycle.batch.accepted.reserveCapacity(taken.accepted.count)
        cycle.arrivals.reserveCapacity(taken.accepted.count)
        for pending in taken.accepted { add(pending.accepted, to: &cycle, now: now) }
        for telling in taken.tellings {
            cycle.tellings.append(telling)
            for notice in telling.notices { add(notice, to: &cycle, now: now) }
            cycle.batch.told += telling.told
            if let delays = telling.delays { cycle.batch.delays = delays }
        }
        for settlement in taken.settlements where !fresh.settle(settlement, into: &cycle) {
            cycle.take(settled: settlement)
        }
        cycle.bringForwardReturned()
        if let asked = taken.steering, asked.order.verb.stops { fresh.mark(asked.targets.lazy.map(\.key.message)) }
        fresh.age(to: Timestamp(milliseconds: now.milliseconds - configuration.fileAfter.milliseconds))
        let claimed = fresh.file(into: &cycle)
        if !claimed.isEmpty { shared.claim(claimed) }
        if let asked = taken.steering { steer(asked, in: &cycle) }
        setBounds(&cycle)
    }

    private func add(_ accepted: Accepted, to cycle: inout Cycle, now: Timestamp) {
        let works = Work.byDomain(accepted, due: accepted.message.arrived)
        cycle.batch.accepted.append(StoredMessage(message: accepted.message, recipients: accepted.recipients))
        if let hold = accepted.hold {
            cycle.hold(works, hold)
            bounds.saw(accepted.message.id)
            return
        }
        cycle.arrivals.append(contentsOf: works)
        fresh.add(accepted.message, works: works, now: now)
        // An upload that took longer than the floor lags behind.
        if accepted.message.id < bounds.floor { fresh.mark(accepted.message.id) }
        bounds.saw(accepted.message.id)
    }

    /// The floor moves once a second, in a transaction that is written anyway.
    private func setBounds(_ cycle: inout Cycle) {
        guard bounds.needsCeiling || (NIODeadline.now() >= stateDue && !cycle.batch.isEmpty) else { return }
        stateDue = .now() + .seconds(1)
        cycle.batch.state = bounds.advance(lowestFresh: fresh.lowest)
    }

    // MARK: Writing

    private func write(_ cycle: Cycle) {
        let start = NIODeadline.now()
        do {
            let result = try store.write(cycle.batch)
            figures.committed(
                messages: cycle.pending.count, nanoseconds: UInt64(max(0, (NIODeadline.now() - start).nanoseconds)))
            finish(cycle, result)
        } catch {
            figures.failed()
            fail(cycle, error)
        }
    }

    private func finish(_ cycle: Cycle, _ result: StoreResult) {
        for pending in cycle.pending { pending.then(.committed) }
        if !cycle.pending.isEmpty { trace.record(cycle.pending.map { .accepted($0.accepted.trace) }) }
        if !cycle.arrivals.isEmpty { giveBack(shared.dispatcher?.arrived(cycle.arrivals) ?? cycle.arrivals) }
        settled(cycle, result)
        steered(cycle, result)
        told(cycle, result)
        let files = cycle.files + result.files
        if !files.isEmpty { contents.remove(files) }
        for key in cycle.incomplete + result.incomplete {
            log.error(
                "settlement left recipients out, they are kept",
                metadata: ["message": "\(key.message)", "domain": "\(key.domain)"])
        }
    }

    /// Tells the thread that makes notices that its own are written, or that there is something to be told.
    private func told(_ cycle: Cycle, _ result: StoreResult) {
        for telling in cycle.tellings {
            trace.record(telling.events)
            telling.then()
        }
        let isUntold =
            !cycle.batch.untold.isEmpty
            || cycle.batch.settled.contains { settlement in
                settlement.ended.contains { !$0.isSilent }
            }
        let isBounced = cycle.steering.contains { $0.asked.order.verb == .bounce }
        if isUntold || isBounced || !result.expired.isEmpty { shared.untold.ring() }
    }

    // MARK: Steering

    /// What is with Delivery is only kept from being tried again; ``Steerer`` comes back for it.
    private func steer(_ asked: AskedSteering, in cycle: inout Cycle) {
        var taken = TakenSteering(asked: asked, hindered: shared.seize(asked.targets.map(\.key)))
        for target in asked.targets {
            guard let change = asked.change(of: target, inHand: taken.isInHand(target.key), at: cycle.batch.at) else {
                continue
            }
            taken.written.append(target)
            cycle.batch.steered.append(Steering(key: target.key, change: change))
        }
        cycle.steering.append(taken)
    }

    private func steered(_ cycle: Cycle, _ result: StoreResult) {
        if !cycle.held.isEmpty { trace.record(cycle.held) }
        var rest = result.steered.dropFirst(cycle.held.count)
        for taken in cycle.steering {
            let results = rest.prefix(taken.written.count)
            rest = rest.dropFirst(taken.written.count)
            shared.release(taken.releases(results), inbox: inbox)
            trace.record(taken.events(results, at: cycle.batch.at))
            taken.asked.then(taken.outcome(results))
        }
    }

    /// Files what Delivery has no room for, so that it is handed out again when asked for.
    private func giveBack(_ works: [Work]) {
        let filed = fresh.giveBack(works)
        guard !filed.isEmpty else { return }
        let releases = filed.map {
            Cycle.Release(key: $0.key, place: Place($0.message, due: $0.progress.due))
        }
        shared.release(releases, inbox: inbox)
        inbox.bringForward(filed.map { AgendaEntry(domain: $0.domain, due: $0.progress.due) })
    }

    private func settled(_ cycle: Cycle, _ result: StoreResult) {
        if !cycle.releases.isEmpty { shared.release(cycle.releases, inbox: inbox) }
        guard !result.expired.isEmpty else { return }
        shared.release(result.expired.map { Cycle.Release(key: $0.key, place: nil) }, inbox: inbox)
        trace.record(
            result.expired.compactMap { expired in
                expired.ended.first.map {
                    .ended(
                        TraceEvent.End(
                            message: expired.key.message, at: $0.at, recipients: expired.ended.map(\.recipient),
                            how: $0.how, reason: $0.reason))
                }
            })
    }

    // MARK: Failing

    private func fail(_ cycle: Cycle, _ error: any Error) {
        let failure = error as? StoreFailure ?? StoreFailure(.failed, "\(error)")
        inbox.setBroken(failure.kind == .diskFull ? .diskShort : .broken)
        log.critical("store failed, nothing is accepted until it has recovered", metadata: ["error": "\(failure)"])
        var cycle = cycle
        let arrivals = cycle.arrivals
        let refused = cycle.withdrawAccepted()
        let kept = Set(cycle.arrivals.map(\.key))
        shared.release(
            arrivals.filter { !kept.contains($0.key) }.map { Cycle.Release(key: $0.key, place: nil) }, inbox: inbox)
        for pending in refused { refuse(pending, failure) }
        let waiting = inbox.takeRefused()
        for pending in waiting { refuse(pending, failure) }
        contents.remove(waiting.compactMap(\.accepted.message.fileName))
        var pause = TimeAmount.milliseconds(100)
        while !recover(&cycle) {
            // At a shutdown one more try is enough: what is in the log is read at the next start.
            if inbox.isClosing {
                carried = cycle
                return
            }
            inbox.sleep(pause)
            pause = min(pause * 2, configuration.recoveryPause.amount)
        }
        inbox.setBroken(nil)
        log.notice("store has recovered")
    }

    private func refuse(_ pending: Inbox.Pending, _ failure: StoreFailure) {
        fresh.drop(pending.accepted.message.id)
        pending.then(.refused("store failed: \(failure)"))
    }

    /// Trusts nothing that was open: closes, reads the log again, takes back the refused, writes what is left.
    private func recover(_ cycle: inout Cycle) -> Bool {
        do {
            try store.recover()
            finish(cycle, try store.write(cycle.batch))
            return true
        } catch {
            log.critical("store does not recover", metadata: ["error": "\(error)"])
            return false
        }
    }
}

extension Work {
    /// One for each recipient domain, in order of first appearance.
    static func byDomain(_ accepted: Accepted, due: Timestamp) -> [Work] {
        let recipients = accepted.recipients
        let progress = Progress(due: due, of: accepted.message)
        if let first = recipients.first, recipients.allSatisfy({ $0.domain == first.domain }) {
            return [Work(message: accepted.message, domain: first.domain, recipients: recipients, progress: progress)]
        }
        var places: [String: Int] = [:]
        var works: [Work] = []
        for recipient in recipients {
            if let place = places[recipient.domain] {
                works[place].recipients.append(recipient)
            } else {
                places[recipient.domain] = works.count
                works.append(
                    Work(
                        message: accepted.message, domain: recipient.domain, recipients: [recipient], progress: progress
                    ))
            }
        }
        return works
    }
}
