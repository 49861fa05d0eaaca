import DequeModule
import Mail

/// Messages that have nothing but their own row: most end here, after their first attempt, at the cost of one DELETE.
///
/// Owned by the commit thread. What does not end soon is filed: it gets waiting rows in the store and leaves this
/// table, so that memory holds a few seconds of arrivals at most.
struct FreshMessages {
    private var entries: [MessageID: Entry] = [:]
    private var ages = Deque<(id: MessageID, since: Timestamp)>()
    /// To be filed with the next transaction.
    private var marked: Set<MessageID> = []

    private struct Entry {
        let message: QueuedMessage
        var works: [Held]
        var hasUntold = false
    }

    private struct Held {
        var work: Work
        var handedOut = true
    }

    var isEmpty: Bool { entries.isEmpty }
    var hasMarked: Bool { !marked.isEmpty }
    /// When the oldest was accepted.
    var oldest: Timestamp? { ages.first?.since }
    /// All below it are filed.
    var lowest: MessageID? { entries.keys.min() }

    /// Adds a message that is about to be committed.
    mutating func add(_ message: QueuedMessage, works: [Work], now: Timestamp) {
        entries[message.id] = Entry(message: message, works: works.map { Held(work: $0) })
        ages.append((message.id, now))
    }

    /// Drops a message whose commit failed.
    mutating func drop(_ id: MessageID) {
        entries[id] = nil
        marked.remove(id)
    }

    /// Has a message filed with the next transaction.
    mutating func mark(_ id: MessageID) {
        marked.insert(id)
    }

    /// Has these filed with the next transaction, as far as they are fresh.
    mutating func mark(_ ids: some Sequence<MessageID>) {
        for id in ids where entries[id] != nil { marked.insert(id) }
    }

    /// Marks works that Delivery has no room for.
    ///
    /// - Returns: those that are filed already.
    mutating func giveBack(_ works: [Work]) -> [Work] {
        var filed: [Work] = []
        for work in works {
            let id = work.message.id
            guard let index = entries[id]?.works.firstIndex(where: { $0.work.domain == work.domain }) else {
                filed.append(work)
                continue
            }
            entries[id]?.works[index].handedOut = false
            marked.insert(id)
        }
        return filed
    }

    /// Marks what was accepted at or before `limit`.
    mutating func age(to limit: Timestamp) {
        while let first = ages.first, first.since <= limit {
            ages.removeFirst()
            if entries[first.id] != nil { marked.insert(first.id) }
        }
    }

    /// - Returns: false when the message is not fresh: its work is in the store, or has ended.
    mutating func settle(_ settlement: Settlement, into cycle: inout Cycle) -> Bool {
        let id = settlement.key.message
        guard let index = entries.index(forKey: id) else { return false }
        guard let at = entries.values[index].works.firstIndex(where: { $0.work.domain == settlement.key.domain })
        else { return true }
        let work = entries.values[index].works[at].work
        let untold = settlement.untold(among: work.recipients)
        if !untold.isEmpty {
            cycle.batch.untold.append(contentsOf: untold)
            entries.values[index].hasUntold = true
        }
        let left = Leftover(of: work.recipients, progress: work.progress, after: settlement, now: cycle.batch.at)
        if let left {
            if left.incomplete { cycle.incomplete.append(settlement.key) }
            entries.values[index].works[at].work.recipients = left.recipients
            entries.values[index].works[at].work.progress = left.progress
            entries.values[index].works[at].handedOut = settlement.stillHandedOut
            marked.insert(id)
        } else {
            entries.values[index].works.remove(at: at)
            finishOrMark(index, id: id, into: &cycle)
        }
        return true
    }

    private mutating func finishOrMark(
        _ index: Dictionary<MessageID, Entry>.Index, id: MessageID, into cycle: inout Cycle
    ) {
        let entry = entries.values[index]
        guard entry.works.isEmpty else {
            marked.insert(id)
            return
        }
        entries.remove(at: index)
        marked.remove(id)
        if entry.hasUntold { return }
        cycle.batch.removed.append(id)
        if let name = entry.message.fileName { cycle.files.append(name) }
    }

    /// Files everything marked.
    ///
    /// - Returns: works that are with Delivery; they are to be claimed before the batch is written.
    mutating func file(into cycle: inout Cycle) -> [WorkKey] {
        var claimed: [WorkKey] = []
        for id in marked {
            guard let entry = entries.removeValue(forKey: id) else { continue }
            for held in entry.works {
                cycle.batch.filed.append(
                    WaitingRow(
                        key: held.work.key, customer: entry.message.customer, expires: entry.message.expires,
                        recipients: held.work.recipients, progress: held.work.progress, onAgenda: !held.handedOut))
                if held.handedOut {
                    claimed.append(held.work.key)
                } else {
                    let place = Place(entry.message, due: held.work.progress.due)
                    cycle.releases.append(Cycle.Release(key: held.work.key, place: place, wasTaken: false))
                }
            }
        }
        marked.removeAll()
        return claimed
    }
}
