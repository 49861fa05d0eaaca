package import Mail
import NIOCore
package import Queue
import Synchronization

/// A store in memory, for tests of what stands on one: it keeps the same contract as SQLite's, without a disk.
package final class MemoryStore: QueueStore {
    private let state = Mutex(State())
    /// Before each transaction is written.
    package let writeGate = Gate()
    /// Behind what was read of a domain's customers, which is the begin of a page.
    package let pageGate = Gate()

    package init() {}

    struct State {
        var messages: [MessageID: StoredMessage] = [:]
        var waiting: [WorkKey: WaitingRow] = [:]
        var holds: [WorkKey: Hold] = [:]
        var untold: [MessageID: [RecipientReport]] = [:]
        var agenda: [String: Agenda] = [:]
        var bounds = StoreState(floor: MessageID(value: 0), ceiling: MessageID(value: 0))
        var free: Int64 = .max
        var failures = Failures()
        var writes = 0
        var lastWrite = ContinuousClock.now
    }

    struct Agenda {
        var due: Timestamp
        var until = Timestamp(milliseconds: 0)
    }

    struct Failures {
        var writes = 0
        /// The failing write is carried out all the same, as when only its fsync failed.
        var reachLog = false
        var recoveries = 0
        var kind = StoreFailure.Kind.failed
    }

    // MARK: What a test sets and sees

    /// The next writes fail, and then the next recoveries.
    package func fail(
        writes: Int = 1, recoveries: Int = 0, kind: StoreFailure.Kind = .failed, reachLog: Bool = false
    ) {
        state.withLock {
            $0.failures = Failures(writes: writes, reachLog: reachLog, recoveries: recoveries, kind: kind)
        }
    }

    package func setFreeSpace(_ octets: Int64) { state.withLock { $0.free = octets } }

    /// When the last transaction was written.
    package var lastWrite: ContinuousClock.Instant { state.withLock { $0.lastWrite } }

    /// Transactions written.
    package var writes: Int { state.withLock { $0.writes } }

    // MARK: QueueStore

    package func open() throws -> StoreState { state.withLock { $0.bounds } }

    package func recover() throws {
        try state.withLock { state in
            guard state.failures.recoveries > 0 else { return }
            state.failures.recoveries -= 1
            throw StoreFailure(state.failures.kind, "recovery was made to fail")
        }
    }

    package func close() throws {}

    package var isBehind: Bool { false }

    package func write(_ batch: StoreBatch) throws -> StoreResult {
        writeGate.pass()
        return try writeNow(batch)
    }

    private func writeNow(_ batch: StoreBatch) throws -> StoreResult {
        try state.withLock { state in
            if state.failures.writes > 0 {
                state.failures.writes -= 1
                if state.failures.reachLog { _ = try state.apply(batch) }
                throw StoreFailure(state.failures.kind, "write was made to fail")
            }
            let result = try state.apply(batch)
            state.writes += 1
            state.lastWrite = .now
            return result
        }
    }

    package func freeSpace() throws -> Int64 { state.withLock { $0.free } }

    package func fresh(from floor: MessageID, limit: Int) throws -> [StoredMessage] {
        state.withLock { state in
            let ids: [MessageID] = state.messages.keys.filter { $0 >= floor && state.isFresh($0) }.sorted()
            return ids.prefix(limit).compactMap { state.messages[$0]?.withoutContent }
        }
    }

    package func existing(_ ids: [MessageID]) throws -> Set<MessageID> {
        state.withLock { state in Set(ids.filter { state.messages[$0] != nil }) }
    }

    package func agenda(after entry: AgendaEntry?, dueBy now: Timestamp, limit: Int) throws -> AgendaPage {
        state.withLock { state in
            let all: [AgendaEntry] = state.agenda.map { name, entry in
                AgendaEntry(domain: name, due: entry.due, postponed: entry.until.milliseconds != 0)
            }
            let later = all.filter { each in entry.map { ($0.due, $0.domain) < (each.due, each.domain) } ?? true }
            let due = later.filter { $0.due <= now }.sorted { ($0.due, $0.domain) < ($1.due, $1.domain) }
            let next = state.agenda.values.map(\.due).filter { $0 > now }.min()
            return AgendaPage(due: Array(due.prefix(limit)), next: next)
        }
    }

    package func customers(domain: String, after customer: String?, limit: Int) throws -> [String] {
        defer { pageGate.pass() }
        return state.withLock { state in
            let names = Set(state.unheld.filter { $0.key.domain == domain }.map(\.customer))
            return Array(names.filter { name in customer.map { $0 < name } ?? true }.sorted().prefix(limit))
        }
    }

    package func positions(
        _ lane: Lane, after position: Position, dueBy now: Timestamp, limit: Int
    ) throws -> [Position] {
        state.withLock { state in
            let rows = state.unheld.filter { row in
                row.key.domain == lane.domain && row.customer == lane.customer && row.progress.due <= now
            }
            let all: [Position] = rows.map { Position(due: $0.progress.due, message: $0.key.message) }
            return Array(all.filter { $0 > position }.sorted().prefix(limit))
        }
    }

    package func works(_ keys: [WorkKey], bytes: Int) throws -> LoadedWorks {
        state.withLock { state in
            var loaded = LoadedWorks()
            var octets = 0
            for key in keys where octets < bytes || loaded.looked == 0 {
                loaded.looked += 1
                guard let row = state.waiting[key], let stored = state.messages[key.message]?.expiring(row.expires)
                else { continue }
                if case .inline(let content) = stored.message.content { octets += content.readableBytes }
                loaded.works.append(
                    Work(
                        message: stored.message, domain: key.domain, recipients: row.recipients, progress: row.progress)
                )
            }
            return loaded
        }
    }

    package func expired(by now: Timestamp, after cursor: ExpiryCursor?, limit: Int) throws -> [ExpiryCursor] {
        state.withLock { state in
            let rows = state.unheld.filter { $0.expires <= now }
            let all = rows.map { ExpiryCursor(expires: $0.expires, key: $0.key) }.sorted { $0.isBefore($1) }
            return Array(all.filter { cursor?.isBefore($0) ?? true }.prefix(limit))
        }
    }

    package func pastRelay(by now: Timestamp, limit: Int) throws -> [ExpiryCursor] {
        state.withLock { state in
            let all = state.unheld.compactMap { row in
                row.progress.relay.map { ExpiryCursor(expires: $0.until, key: row.key) }
            }
            return Array(all.filter { $0.expires <= now }.sorted { $0.isBefore($1) }.prefix(limit))
        }
    }

    package func earliest(afterDomain domain: String?, limit: Int) throws -> [AgendaEntry] {
        state.withLock { state in
            let rows = Dictionary(grouping: state.unheld, by: \.key.domain)
            let names = rows.keys.filter { name in domain.map { $0 < name } ?? true }
            return names.sorted().prefix(limit).compactMap { name in
                rows[name]?.map(\.progress.due).min().map { AgendaEntry(domain: name, due: $0) }
            }
        }
    }

    package func untold(after cursor: UntoldCursor?, limit: Int) throws -> [UntoldCursor] {
        state.withLock { state in
            let all = state.untold.flatMap { id, reports in
                Set(reports.map(\.at)).map { at in
                    UntoldCursor(at: at, message: id, hasEnded: !state.waiting.keys.contains { $0.message == id })
                }
            }.sorted { ($0.at, $0.message) < ($1.at, $1.message) }
            let after = all.filter { next in cursor.map { ($0.at, $0.message) < (next.at, next.message) } ?? true }
            return Array(after.prefix(limit))
        }
    }

    package func untoldMessage(_ id: MessageID) throws -> UntoldMessage? {
        state.withLock { state in
            guard let reports = state.untold[id], let stored = state.messages[id] else { return nil }
            let waiting = state.waiting.values.filter { $0.key.message == id }.flatMap(\.recipients)
            return UntoldMessage(
                message: stored.message, recipients: stored.recipients,
                reports: reports.sorted {
                    ($0.recipient.domain, $0.recipient.localPart) < ($1.recipient.domain, $1.recipient.localPart)
                },
                waiting: Set(waiting))
        }
    }

    package func waiting(after id: MessageID, through: MessageID, limit: Int) throws -> [MessageID] {
        state.withLock { state in
            let all = Set(state.waiting.keys.map(\.message)).filter { $0 > id && $0 <= through }
            return Array(all.sorted().prefix(limit))
        }
    }

    package func entries(_ filter: QueueFilter) throws -> QueuePage {
        state.withLock { state in
            let after = filter.after ?? MessageID(value: 0)
            let all = state.messages.values.filter { stored in
                stored.message.id > after && filter.admits(stored)
            }
            let ids = all.map(\.message.id).sorted().prefix(filter.limit)
            return QueuePage(
                entries: ids.compactMap { state.entry($0) }, next: ids.count == filter.limit ? ids.last : nil)
        }
    }

    package func filed(_ filter: QueueFilter, after id: MessageID, limit: Int) throws -> FiledPage {
        state.withLock { state in
            let keys = state.waiting.keys.filter { $0.message > id }
                .sorted { ($0.message, $0.domain) < ($1.message, $1.domain) }
            var page = FiledPage()
            var last: MessageID?
            for key in keys {
                if page.looked >= limit, key.message != last {
                    page.next = last
                    break
                }
                page.looked += 1
                last = key.message
                guard let row = state.waiting[key],
                    filter.mayAdmit(key.message, domain: key.domain, customer: row.customer),
                    state.messages[key.message].map({ filter.admits($0.message.sender) }) ?? false
                else { continue }
                page.works.append(FiledWork(message: key.message, customer: row.customer, part: state.part(row)))
            }
            return page
        }
    }

    package func unfiled(after id: MessageID, limit: Int) throws -> [StoredMessage] {
        guard id.value < .max else { return [] }
        return try fresh(from: MessageID(value: id.value + 1), limit: limit)
    }

    package func entry(_ id: MessageID) throws -> QueueEntry? { state.withLock { $0.entry(id) } }

    package func census(
        from place: CensusPlace, limit: Int, dueBy now: Timestamp, ages: [MessageID]
    ) throws -> CensusPage {
        // All of it at once: it is a store for tests.
        state.withLock { state in
            var page = CensusPage()
            for row in state.waiting.values {
                let age = CensusCounts.age(of: row.key.message, among: ages)
                var counts = page.counts[row.key.domain] ?? CensusCounts()
                if state.holds[row.key] != nil {
                    counts.held[age] += 1
                } else if row.progress.due <= now {
                    counts.due[age] += 1
                } else {
                    counts.waiting[age] += 1
                }
                page.counts[row.key.domain] = counts
                if let relay = row.progress.relay {
                    page.relays[relay.name, default: RelayBacklog()].add(RelayBacklog(relay))
                }
            }
            return page
        }
    }

    package func counts() throws -> QueueCounts {
        state.withLock { state in
            QueueCounts(
                messages: state.messages.count, works: state.waiting.count, held: state.holds.count,
                domains: state.agenda.count,
                untold: state.untold.values.reduce(0) { $0 + $1.count },
                atRelays: state.waiting.values.count { $0.progress.relay != nil })
        }
    }
}

extension MemoryStore.State {
    fileprivate func isFresh(_ id: MessageID) -> Bool {
        untold[id] == nil && !waiting.keys.contains { $0.message == id }
    }

    /// Rows that are not held.
    fileprivate var unheld: [WaitingRow] { waiting.values.filter { holds[$0.key] == nil } }

    fileprivate func part(_ row: WaitingRow) -> QueueEntry.Part {
        QueueEntry.Part(
            domain: row.key.domain, recipients: row.recipients, progress: row.progress, state: .waiting,
            hold: holds[row.key])
    }

    fileprivate func entry(_ id: MessageID) -> QueueEntry? {
        guard let stored = messages[id]?.withoutContent else { return nil }
        let rows = waiting.values.filter { $0.key.message == id }.sorted { $0.key.domain < $1.key.domain }
        let parts = rows.map { part($0) }
        return QueueEntry(
            message: stored.message, works: isFresh(id) ? QueueEntry.Part.fresh(stored) : parts,
            untold: (untold[id] ?? []).sorted { "\($0.recipient)" < "\($1.recipient)" })
    }

    fileprivate mutating func apply(_ batch: StoreBatch) throws -> StoreResult {
        var result = StoreResult()
        for id in batch.undone { undo(id) }
        for move in batch.agenda { self.move(move) }
        for stored in batch.accepted {
            guard messages[stored.message.id] == nil else { throw StoreFailure(.failed, "id is taken") }
            messages[stored.message.id] = stored
        }
        for row in batch.filed {
            waiting[row.key] = row
            if row.onAgenda { move(.bringForward(domain: row.key.domain, due: row.progress.due)) }
        }
        for untold in batch.untold { report(untold) }
        for settlement in batch.settled { settle(settlement, now: batch.at, &result) }
        for expiration in batch.expired {
            guard let row = waiting[expiration.key] else { continue }
            let ended = expiration.ends(of: row.recipients, progress: row.progress)
            for report in ended.compactMap(\.report) {
                self.report(UntoldRecipient(message: row.key.message, report: report))
            }
            result.expired.append((row.key, ended))
            end(row.key, &result)
        }
        for steering in batch.steered { result.steered.append(steer(steering, now: batch.at, &result)) }
        if let delays = batch.delays { tell(of: delays, now: batch.at) }
        for told in batch.told { tell(told, &result) }
        for id in batch.removed { messages[id] = nil }
        if let state = batch.state {
            bounds = StoreState(floor: state.floor, ceiling: state.ceiling, delayed: bounds.delayed)
        }
        return result
    }

    private mutating func undo(_ id: MessageID) {
        messages[id] = nil
        untold[id] = nil
        for key in waiting.keys where key.message == id {
            waiting[key] = nil
            holds[key] = nil
        }
    }

    private mutating func move(_ move: AgendaMove) {
        switch move {
        case .handedOut(let domain, let next?):
            let until = agenda[domain]?.until ?? Timestamp(milliseconds: 0)
            agenda[domain] = MemoryStore.Agenda(due: max(next, until), until: until)
        case .handedOut(let domain, nil):
            agenda[domain] = nil
        case .postponed(let domain, let until):
            agenda[domain] = MemoryStore.Agenda(due: until, until: until)
        case .bringForward(let domain, let due):
            guard let known = agenda[domain] else {
                agenda[domain] = MemoryStore.Agenda(due: due)
                return
            }
            agenda[domain]?.due = min(known.due, max(due, known.until))
        }
    }

    private mutating func report(_ new: UntoldRecipient) {
        let known = untold[new.message] ?? []
        let report = new.report
        guard !known.contains(where: { $0.recipient == report.recipient && $0.kind == report.kind }) else { return }
        untold[new.message, default: []].append(report)
    }

    private mutating func tell(of delays: Delays, now: Timestamp) {
        for id in delays.messages {
            for row in waiting.values where row.key.message == id {
                for recipient in row.recipients {
                    report(UntoldRecipient(message: id, report: row.progress.delay(of: recipient, at: now)))
                }
            }
        }
        bounds.delayed = delays.through
    }

    private mutating func tell(_ told: Told, _ result: inout StoreResult) {
        untold[told.message]?.removeAll { report in
            told.reports.contains { $0.recipient == report.recipient && $0.kind == report.kind }
        }
        if untold[told.message]?.isEmpty == true { untold[told.message] = nil }
        removeIfDone(told.message, &result)
    }

    private mutating func settle(_ settlement: Settlement, now: Timestamp, _ result: inout StoreResult) {
        guard let row = waiting[settlement.key] else { return }
        for untold in settlement.untold(among: row.recipients) { report(untold) }
        guard let left = Leftover(of: row.recipients, progress: row.progress, after: settlement, now: now) else {
            return end(row.key, &result)
        }
        if left.incomplete { result.incomplete.append(row.key) }
        waiting[row.key]?.recipients = left.recipients
        waiting[row.key]?.progress = left.progress
        if !settlement.stillHandedOut { move(.bringForward(domain: row.key.domain, due: left.progress.due)) }
    }

    private mutating func steer(_ steering: Steering, now: Timestamp, _ result: inout StoreResult) -> Steered {
        let key = steering.key
        guard let row = waiting[key] else { return Steered(key: key, changed: false) }
        let hold = holds[key]
        let due = hold == nil ? row.progress.due : nil
        switch steering.change {
        case .hold(let new):
            if hold == nil { holds[key] = new }
            return Steered(key: key, changed: hold == nil)
        case .release:
            guard let hold else { return Steered(key: key, changed: false, due: due) }
            holds[key] = nil
            waiting[key]?.progress.due = now
            let expires = Hold.deadline(row.expires, since: hold.at, now: now)
            if let until = row.progress.relay?.until {
                waiting[key]?.progress.relay?.until = Hold.deadline(until, since: hold.at, now: now)
            }
            for other in waiting.keys where other.message == key.message { waiting[other]?.expires = expires }
            agenda[key.domain] = MemoryStore.Agenda(due: min(now, agenda[key.domain]?.due ?? now))
            return Steered(key: key, changed: true, due: now)
        case .retry:
            guard let due else { return Steered(key: key, changed: false) }
            waiting[key]?.progress.due = min(due, now)
            agenda[key.domain] = MemoryStore.Agenda(due: min(due, now, agenda[key.domain]?.due ?? now))
            return Steered(key: key, changed: true, due: min(due, now))
        case .end(let end):
            let ended = end.ends(of: row.recipients, at: now)
            guard !ended.isEmpty else { return Steered(key: key, changed: false, due: due) }
            for new in ended.compactMap(\.report) { report(UntoldRecipient(message: key.message, report: new)) }
            guard ended.count < row.recipients.count else {
                self.end(key, &result)
                return Steered(key: key, changed: true, ended: ended)
            }
            waiting[key]?.recipients.removeAll { left in ended.contains { $0.recipient == left } }
            if end.isRelease { holds[key] = nil }
            guard holds[key] == nil else { return Steered(key: key, changed: true, ended: ended) }
            move(.bringForward(domain: key.domain, due: row.progress.due))
            return Steered(key: key, changed: true, ended: ended, due: row.progress.due)
        }
    }

    private mutating func end(_ key: WorkKey, _ result: inout StoreResult) {
        waiting[key] = nil
        holds[key] = nil
        removeIfDone(key.message, &result)
    }

    private mutating func removeIfDone(_ id: MessageID, _ result: inout StoreResult) {
        guard isFresh(id), let stored = messages.removeValue(forKey: id) else { return }
        if case .file(let name) = stored.message.content { result.files.append(name) }
    }
}
