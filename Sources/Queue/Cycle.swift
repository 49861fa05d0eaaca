import Mail

/// One turn of the commit thread: what its transaction writes, and what follows when that is durable.
struct Cycle {
    var batch: StoreBatch
    var pending: [Inbox.Pending] = []
    /// What senders are told in it.
    var tellings: [Telling] = []
    /// What operators do in it.
    var steering: [TakenSteering] = []
    /// Works of the accepted messages, in order of arrival.
    var arrivals: [Work] = []
    var releases: [Release] = []
    /// Works that are held from the start, one for each of the first of the batch's steerings.
    private(set) var held: [TraceEvent] = []
    /// Works whose settlement left recipients out.
    var incomplete: [WorkKey] = []
    /// Content files that nothing names once this is written.
    var files: [String] = []
    /// The earliest due time of each domain that works were given back to as they were.
    private var returned: [String: Timestamp] = [:]

    /// A filed work that is no longer with Delivery.
    struct Release {
        var key: WorkKey
        /// Where its row stands; nil when it has ended.
        var place: Place?
        /// It was claimed or seized. Otherwise it may have been read and handed out since its row was written, and then
        /// it stays so.
        var wasTaken = true
    }

    init(at now: Timestamp) {
        batch = StoreBatch(at: now)
    }

    /// Takes the refused messages out; the rest is to be written after recovery. Notices stay: what they tell may be
    /// gone from the store already, so each is undone and written again together with it.
    mutating func withdrawAccepted() -> [Inbox.Pending] {
        let ids = Set(pending.map(\.accepted.message.id))
        batch.undone.append(contentsOf: batch.accepted.map(\.message.id))
        files.append(contentsOf: pending.compactMap(\.accepted.message.fileName))
        batch.accepted.removeAll { ids.contains($0.message.id) }
        batch.filed.removeAll { ids.contains($0.key.message) }
        arrivals.removeAll { ids.contains($0.message.id) }
        batch.steered.removeFirst(held.count)
        held = []
        defer { pending.removeAll() }
        return pending
    }

    /// Files works of an accepted message as held: they get their rows at once, and Delivery does not hear of them.
    /// Called before any other steering is put into the batch.
    mutating func hold(_ works: [Work], _ hold: Hold) {
        for work in works {
            batch.filed.append(
                WaitingRow(
                    key: work.key, customer: work.message.customer, expires: work.message.expires,
                    recipients: work.recipients, progress: work.progress, onAgenda: false))
            batch.steered.append(Steering(key: work.key, change: .hold(hold)))
            held.append(
                .steered(
                    TraceEvent.Steered(
                        message: work.key.message, at: hold.at, how: .held, domain: work.domain, by: hold.by,
                        reason: hold.reason)))
        }
    }

    /// Takes what came of a filed work. One that comes back as it was costs no row: its domain alone is written, once
    /// for all of its works, since the agenda had left it out.
    mutating func take(settled settlement: Settlement) {
        let key = settlement.key
        let due = settlement.remaining?.progress.due
        if settlement.unchanged, settlement.ended.isEmpty, let due {
            returned[key.domain] = min(returned[key.domain] ?? due, due)
        } else {
            batch.settled.append(settlement)
        }
        guard !settlement.stillHandedOut else { return }
        let place = settlement.remaining.map { Place($0.message, due: $0.progress.due) }
        releases.append(Release(key: key, place: place))
    }

    mutating func bringForwardReturned() {
        for (domain, due) in returned { batch.agenda.append(.bringForward(domain: domain, due: due)) }
        returned = [:]
    }

    /// In this order: a move knows more than the sweep did, and what is brought forward was missed by a move.
    mutating func take(agenda taken: Inbox.Taken) {
        for entry in taken.swept { batch.agenda.append(.bringForward(domain: entry.domain, due: entry.due)) }
        for (domain, move) in taken.moves {
            if let next = move.handedOut {
                batch.agenda.append(.handedOut(domain: domain, next: next == .distantFuture ? nil : next))
            }
            if let until = move.until { batch.agenda.append(.postponed(domain: domain, until: until)) }
        }
        for (domain, due) in taken.forward { batch.agenda.append(.bringForward(domain: domain, due: due)) }
        for (key, at) in taken.expired { batch.expired.append(Expiration(key: key, at: at)) }
    }
}
