import Mail
import Queue

@testable import Delivery

/// What must hold of all that the planner tells the queue.
extension RandomWorld {
    mutating func settle(_ settlement: Settlement) {
        let key = settlement.key
        demand(queue.out.contains(key), "\(key) was settled and not handed out")
        if let row = queue.rows[key] {
            check(settlement, row)
        } else {
            // What was on the wire for too long after its deadline says what came of it; the queue does not heed it.
            demand(settlement.ended.isEmpty || queue.cutShort.contains(key), "\(key) ended after it was ended")
        }
        if settlement.remaining?.progress.pinned == nil { bound[key] = nil }
        queue.settle(settlement)
    }

    private mutating func check(_ settlement: Settlement, _ row: Work) {
        let key = settlement.key
        for end in settlement.ended { check(end, of: settlement) }
        let named = settlement.ended.map(\.recipient) + (settlement.remaining?.recipients ?? [])
        demand(
            named.count == row.recipients.count && Set(named) == Set(row.recipients),
            "\(key) had \(row.recipients) and was settled with \(named)")
        guard let work = settlement.remaining else { return }
        if settlement.unchanged {
            demand(work.progress == row.progress && settlement.ended.isEmpty, "\(key) is not as it was")
        } else if !settlement.stillHandedOut {
            demand(work.progress.due <= work.deadline, "\(key) is due after its deadline")
        }
        // A source that cannot be bound keeps nobody waiting: the pin is given up.
        if justBound.remove(key) != nil, let kept = bound[key] {
            demand(work.progress.pinned == kept, "\(key) need not come back from its source")
        }
        checkTried(work, row)
        checkRelay(work, row)
    }

    /// A source that refused it, or in its banner everybody: that is charged to one message.
    private mutating func checkTried(_ work: Work, _ row: Work) {
        for source in work.progress.tried where !row.progress.tried.contains(source) {
            if watch.tried[work.key]?.contains(source) == true { continue }
            guard let (name, message) = watch.charging, name == source, message == nil || message == work.message.id
            else {
                fault("\(work.key) counts \(source) as tried, which did not refuse it")
                continue
            }
            watch.charging = (name, work.message.id)
            watch.tried[work.key, default: []].insert(source)
        }
    }

    /// No relay before its step, and its deadline there stays as it was when it entered.
    private mutating func checkRelay(_ work: Work, _ row: Work) {
        switch (row.progress.relay, work.progress.relay) {
        case (nil, nil): break
        case (nil, let relay?):
            demand(
                relay.entered == scene.now && relay.until == scene.now + .hours(24),
                "\(work.key) has another deadline at the relay than declared")
            watchRelay(work, cause: relay.cause)
        case (let old?, let new?):
            demand(old.until == new.until && old.entered == new.entered, "\(work.key) entered the relay twice")
        case (_?, nil): fault("\(work.key) left the relay")
        }
    }

    /// A notice quotes something, and of success we tell where it was asked for and the host does not tell, only there.
    private mutating func check(_ end: Settlement.Ended, of settlement: Settlement) {
        let message = messages[settlement.key.message]
        switch end.how {
        case .delivered, .relayed:
            let session = deliveredOn["\(settlement.key.message) \(end.recipient)"]
            let tells = session.map(telling.contains) ?? false
            let wants = message?.request?[end.recipient]?.notify?.contains(.success) ?? false
            demand(end.isRelayed == (wants && !tells), "\(end.recipient) is told of though nobody asked, or not")
            demand((end.report == nil) == !end.isRelayed, "\(end.recipient) has a report, or none")
        case .failed, .expired:
            demand(!end.isRelayed && end.report?.refusal != nil, "\(end.recipient) failed, and nothing is quoted")
        case .deleted: fault("\(end.recipient) was deleted, and only operators do that")
        }
    }
}
