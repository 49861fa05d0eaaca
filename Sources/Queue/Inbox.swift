import DequeModule
import Mail
import NIOCore
import Synchronization

/// What waits for the commit thread.
final class Inbox: Sendable {
    private let state = Mutex(State())
    private let bell = Bell()
    private let now = Atomic<UInt8>(Admission.open.code)
    private let configuration: MailQueue.Configuration

    init(configuration: MailQueue.Configuration) {
        self.configuration = configuration
    }

    struct Pending: Sendable {
        let accepted: Accepted
        let then: @Sendable (CommitResult) -> Void
    }

    /// What one transaction is to carry.
    struct Taken: Sendable {
        var accepted: [Pending] = []
        var settlements: [Settlement] = []
        /// What the sweep found; older than what the moves say.
        var swept: [AgendaEntry] = []
        var moves: [String: Move] = [:]
        /// What the moves were reckoned without.
        var forward: [String: Timestamp] = [:]
        var expired: [WorkKey: Timestamp] = [:]
        var tellings: [Telling] = []
        var steering: AskedSteering?
        /// Nothing comes after it.
        var last = false
    }

    struct Move: Sendable {
        /// All that was due is handed out and this is when the next one is; the distant future when there is none.
        var handedOut: Timestamp?
        var until: Timestamp?
    }

    fileprivate struct State {
        var accepted = Deque<Pending>()
        var bytes = 0
        var settlements: [Settlement] = []
        /// What the sweep found; older than what the moves say.
        var swept: [AgendaEntry] = []
        var moves: [String: Move] = [:]
        /// What the moves were reckoned without.
        var forward: [String: Timestamp] = [:]
        var expired: [WorkKey: Timestamp] = [:]
        var tellings: [Telling] = []
        var steering = Deque<AskedSteering>()
        /// When what waits must be written even if no message comes.
        var flush = NIODeadline.distantFuture
        var closing = false
        var broken: Admission?
        var diskShort = false
    }

    func admission() -> Admission { Admission(code: now.load(ordering: .relaxed)) }

    // MARK: Putting in

    /// - Returns: why it was not taken; nil when it was, and `then` will be called.
    func add(_ accepted: Accepted, then: @escaping @Sendable (CommitResult) -> Void) -> Admission? {
        let refusal = state.withLock { state -> Admission? in
            let admission = admission(state)
            guard admission == .open || admission == .busy else { return admission }
            let size = accepted.message.inlineSize
            guard state.accepted.count < configuration.pendingMessages,
                state.bytes + size <= configuration.pendingBytes || state.accepted.isEmpty
            else { return .busy }
            state.accepted.append(Pending(accepted: accepted, then: then))
            state.bytes += size
            publish(state)
            return nil
        }
        if refusal == nil { bell.ring() }
        return refusal
    }

    func add(_ settlements: [Settlement]) {
        guard !settlements.isEmpty else { return }
        let first = state.withLock { state in
            state.settlements.append(contentsOf: settlements)
            return state.flushed(by: .now() + configuration.settleWithin.amount)
        }
        if first { bell.ring() }
    }

    /// - Parameter next: the distant future when nothing of the domain is left to wait for.
    func handedOut(_ domain: String, next: Timestamp) {
        move { $0.moves[domain, default: Move()].handedOut = next }
    }

    func postpone(_ domain: String, until: Timestamp) {
        move { $0.moves[domain, default: Move()].until = until }
    }

    /// Domains that have waiting rows, as the sweep found them.
    func swept(_ entries: [AgendaEntry]) {
        move { $0.swept.append(contentsOf: entries) }
    }

    func bringForward(_ entries: [AgendaEntry]) {
        move { state in for entry in entries { state.forward[entry.domain] = entry.due } }
    }

    func expire(_ keys: [WorkKey], at: Timestamp) {
        guard !keys.isEmpty else { return }
        move { state in for key in keys { state.expired[key] = at } }
    }

    /// Written with the next transaction, at once.
    func add(_ telling: Telling) {
        state.withLock { state in
            state.tellings.append(telling)
            _ = state.flushed(by: .now())
        }
        bell.ring()
    }

    /// Written with the next transaction that has room for it: one takes one.
    func add(_ steering: AskedSteering) {
        state.withLock { state in
            state.steering.append(steering)
            _ = state.flushed(by: .now())
        }
        bell.ring()
    }

    /// A row was written whose domain may have a move waiting that was reckoned without it.
    func reach(_ domain: String, due: Timestamp) {
        state.withLock { state in
            guard let next = state.moves[domain]?.handedOut, due < next else { return }
            state.moves[domain]?.handedOut = due
        }
    }

    /// Whether the agenda is about to say something else of this domain.
    func isMoving(_ domain: String) -> Bool {
        state.withLock { $0.moves[domain] != nil }
    }

    private func move(_ change: (inout State) -> Void) {
        let first = state.withLock { state in
            change(&state)
            return state.flushed(by: .now() + configuration.moveWithin.amount)
        }
        if first { bell.ring() }
    }

    // MARK: Taking out

    /// Waits until something must be written, or `wake`; then takes what one transaction may carry.
    func take(wake: NIODeadline) -> Taken {
        while true {
            let now = NIODeadline.now()
            var wait = Int64.max
            let taken = state.withLock { state -> Taken? in
                let until = min(state.flush, wake)
                guard !state.accepted.isEmpty || until <= now || state.closing else {
                    wait = (until - now).nanoseconds
                    return nil
                }
                return take(&state)
            }
            if let taken { return taken }
            bell.wait(nanoseconds: wait)
        }
    }

    private func take(_ state: inout State) -> Taken {
        var taken = Taken()
        var bytes = 0
        var count = 0
        for pending in state.accepted {
            guard count < configuration.batchMessages, bytes < configuration.batchBytes else { break }
            bytes += pending.accepted.message.inlineSize
            count += 1
        }
        taken.accepted = Array(state.accepted.prefix(count))
        state.accepted.removeFirst(count)
        state.bytes -= bytes
        if state.settlements.count <= configuration.batchSettlements {
            swap(&taken.settlements, &state.settlements)
        } else {
            taken.settlements = Array(state.settlements.prefix(configuration.batchSettlements))
            state.settlements.removeFirst(configuration.batchSettlements)
        }
        swap(&taken.swept, &state.swept)
        swap(&taken.moves, &state.moves)
        swap(&taken.forward, &state.forward)
        swap(&taken.expired, &state.expired)
        swap(&taken.tellings, &state.tellings)
        taken.steering = state.steering.popFirst()
        let isEmpty = state.settlements.isEmpty && state.steering.isEmpty
        state.flush = isEmpty ? .distantFuture : .now()
        taken.last = state.closing && state.accepted.isEmpty && isEmpty
        publish(state)
        return taken
    }

    /// Messages that wait while nothing can be kept.
    func takeRefused() -> [Pending] {
        state.withLock { state in
            defer {
                state.accepted.removeAll()
                state.bytes = 0
            }
            return Array(state.accepted)
        }
    }

    /// Lets `span` pass, or as much of it as there is until ``close()``.
    func sleep(_ span: TimeAmount) {
        let until = NIODeadline.now() + span
        while !isClosing, until > .now() { bell.wait(nanoseconds: (until - .now()).nanoseconds) }
    }

    // MARK: Admission

    var isClosing: Bool { state.withLock { $0.closing } }

    func close() {
        change { $0.closing = true }
        bell.ring()
    }

    /// nil: the store works.
    func setBroken(_ broken: Admission?) { change { $0.broken = broken } }

    func setDiskShort(_ short: Bool) { change { $0.diskShort = short } }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            publish(state)
        }
    }

    private func publish(_ state: borrowing State) {
        now.store(admission(state).code, ordering: .relaxed)
    }

    private func admission(_ state: borrowing State) -> Admission {
        if state.closing { return .closing }
        if let broken = state.broken { return broken }
        if state.diskShort { return .diskShort }
        // Half of what may wait: MAIL is refused before messages are that were already received.
        let full =
            state.accepted.count > configuration.pendingMessages / 2 || state.bytes > configuration.pendingBytes / 2
        return full ? .busy : .open
    }
}

extension Inbox.State {
    /// True when the commit thread must be told of an earlier time than it knows.
    fileprivate mutating func flushed(by deadline: NIODeadline) -> Bool {
        guard deadline < flush else { return false }
        flush = deadline
        return true
    }
}

extension Admission {
    fileprivate var code: UInt8 {
        switch self {
        case .open: 0
        case .busy: 1
        case .diskShort: 2
        case .broken: 3
        case .closing: 4
        }
    }

    fileprivate init(code: UInt8) {
        switch code {
        case 0: self = .open
        case 1: self = .busy
        case 2: self = .diskShort
        case 3: self = .broken
        default: self = .closing
        }
    }
}

extension QueuedMessage {
    /// Octets that this message holds in memory; 0 for one whose content is a file.
    var inlineSize: Int {
        switch content {
        case .inline(let buffer): buffer.readableBytes
        case .file: 0
        }
    }
}

extension QueuedMessage {
    /// nil where the content is stored with the row.
    var fileName: String? {
        if case .file(let name) = content { name } else { nil }
    }
}

extension Timestamp.Span {
    var amount: TimeAmount { .nanoseconds(milliseconds.multipliedReportingOverflow(by: 1_000_000).partialValue) }
}
