import DNS
import Mail
import Queue

@testable import Delivery

/// What must hold whenever a session is opened or something is put on the wire, from what the world itself has seen.
extension RandomWorld {
    static let relayHost = "smtp.provider.example"

    /// What the receivers did, by their names.
    struct Watch {
        /// Sources that each refused, whatever was said later.
        var refused: [String: Set<String>] = [:]
        /// Receivers that refused the network.
        var ranges: Set<String> = []
        /// Sources that refused one work, and works that heard of the network.
        var tried: [WorkKey: Set<String>] = [:]
        var near: Set<WorkKey> = []
        /// Works that a receiver found fault with.
        var faulty: Set<WorkKey> = []
        /// Recipients whose last word from the receiver was about content or sender, and the phase it was said in: one
        /// that comes earlier in the dialogue has not looked at them again.
        var fault: [WorkKey: [Address: Phase]] = [:]
        /// The source whose banner refused everybody just now, and the message that it was charged to.
        var charging: (source: String, message: MessageID?)?
        /// Recipients to whom it may have arrived, and the source that they keep.
        var doubt: [WorkKey: [Address: (source: String, since: Timestamp)]] = [:]
        /// Sources that could not be bound, the last time.
        var unbound: [String: Timestamp] = [:]
        /// Sessions that were opened from a source that had cooled down.
        var canaries: [SessionID: String] = [:]
        /// Messages on each of them.
        var carried: [SessionID: Int] = [:]
        /// The latest probe of a range at a receiver, while its breaker is open.
        var probed: [String: Timestamp] = [:]

        mutating func refused(_ plan: SessionPlan, isRange: Bool) {
            let name = plan.host == "mx2.shared.example" ? "mx1.shared.example" : plan.host
            refused[name, default: []].insert(plan.source.name)
            if isRange { ranges.insert(name) }
        }
    }

    /// What was answered.
    mutating func note(_ transaction: Transaction, on id: SessionID, _ answers: [PhaseAnswer]) {
        guard let plan = plans[id], plan.host != Self.relayHost else { return }
        for (recipient, answer) in zip(transaction.recipients, answers) {
            let key = WorkKey(message: transaction.message.id, domain: recipient.domain)
            let isRange = answer.said.hasSuffix("your network is blocked")
            if isRange || answer.said.hasSuffix("blocked using x") {
                watch.refused(plan, isRange: isRange)
                watch.tried[key, default: []].insert(plan.source.name)
                if isRange { watch.near.insert(key) }
            }
            let before = watch.fault[key]?[recipient]?.rawValue ?? 0
            if Self.isFault(answer) {
                watch.faulty.insert(key)
                if answer.phase.rawValue >= before { watch.fault[key, default: [:]][recipient] = answer.phase }
            } else if case .reply = answer.answer, answer.phase.rawValue >= before {
                watch.fault[key]?[recipient] = nil
            }
            if answer.phase == .dot, case .trouble = answer.answer {
                watch.doubt[key, default: [:]][recipient] = (plan.source.name, scene.now)
            }
        }
    }

    private static func isFault(_ answer: PhaseAnswer) -> Bool {
        answer.said.hasSuffix("looks like spam") || answer.said.hasSuffix("spf fails")
    }

    /// What is left alone with such an answer must come from the same source the next time.
    mutating func bind(_ transaction: Transaction, to id: SessionID, _ answers: [PhaseAnswer]) {
        for domain in Set(transaction.recipients.map(\.domain)) {
            let key = WorkKey(message: transaction.message.id, domain: domain)
            let own = zip(transaction.recipients, answers).filter { $0.0.domain == domain }
            bound[key] = nil
            guard let row = queue.rows[key], row.recipients.count == own.count, row.progress.relay == nil,
                own.allSatisfy({ Self.isFault($0.1) })
            else { continue }
            bound[key] = plans[id]?.source.name
            justBound.insert(key)
        }
    }

    /// What is put on the wire.
    mutating func check(_ transaction: Transaction, on id: SessionID) {
        guard let plan = plans[id] else { return fault("a transaction on a session that was not opened") }
        demand(!transaction.recipients.isEmpty, "a transaction without a recipient")
        for domain in Set(transaction.recipients.map(\.domain)).sorted() {
            let key = WorkKey(message: transaction.message.id, domain: domain)
            let recipients = transaction.recipients.filter { $0.domain == domain }
            guard let row = queue.rows[key] else {
                fault("\(key) is sent after it was ended")
                continue
            }
            demand(queue.out.contains(key), "\(key) is sent and is not with the planner")
            demand(recipients.allSatisfy(row.recipients.contains), "\(key) is sent to whom it has ended for")
            demand(row.deadline > scene.now, "\(key) is sent after its deadline")
            let isRelay = plan.host == Self.relayHost
            demand(isRelay == (row.progress.relay != nil), "\(key) is sent to \(plan.host), which is not its step")
            guard !isRelay else { continue }
            checkSource(row, plan)
            for recipient in recipients { checkDoubt(key, recipient, plan) }
        }
        guard watch.canaries[id] != nil else { return }
        watch.carried[id, default: 0] += 1
        demand(watch.carried[id] == 1, "a canary from \(plan.source.name) carries a second message")
    }

    /// No source that refused it within the budget, none beyond that, and the same one for what is not about sources.
    private mutating func checkSource(_ row: Work, _ plan: SessionPlan) {
        let key = row.key
        let source = plan.source.name
        if let kept = bound[key] { demand(kept == source, "\(key) moves from \(kept) to \(source)") }
        guard row.progress.step == 0, row.progress.pinned != source else { return }
        // What refuses it while it is in doubt uses nothing of its budget.
        let refused = watch.doubt[key] == nil ? watch.tried[key] ?? [] : []
        let tried = refused.union(row.progress.tried)
        demand(!tried.contains(source), "\(key) from \(source), which it was refused from")
        if !watch.faulty.contains(key), watch.doubt[key] == nil {
            demand(tried.count < budget, "\(key) from \(source) after \(tried.sorted()), which is beyond its budget")
        }
    }

    /// A source that could not be bound meanwhile keeps nobody.
    private mutating func checkDoubt(_ key: WorkKey, _ recipient: Address, _ plan: SessionPlan) {
        guard let doubt = watch.doubt[key]?[recipient], doubt.source != plan.source.name else { return }
        let unbound = watch.unbound[doubt.source] ?? Timestamp(milliseconds: 0)
        demand(
            unbound + scene.planner.configuration.unboundRest >= doubt.since,
            "\(recipient) gets \(key) from \(plan.source.name), though it may have arrived from \(doubt.source)")
        watch.doubt[key]?[recipient] = (plan.source.name, scene.now)
    }

    /// The relay's step is when the sources of those before it are spent for this message, or rest there; it is none
    /// for what may have arrived.
    mutating func watchRelay(_ work: Work, cause: Cause) {
        let key = work.key
        let tried = watch.tried[key] ?? []
        let isSpent = tried.count >= budget || watch.near.contains(key)
        // Those who may take its mail: they had refused each source that it was not refused from, or the network.
        let places = ["mx1.shared.example", "mx.\(key.domain)", "mx.kind.example"]
        let isShut = places.contains { place in
            let refused = watch.refused[place] ?? []
            return watch.ranges.contains(place) || refused.count >= scene.planner.configuration.rangeBreaker
                || refused.union(tried).count == Self.sources
        }
        demand(isSpent || isShut, "\(key) at the relay after \(tried.sorted())")
        demand(cause == .source || cause == .range, "\(key) at the relay for \(cause)")
        let isFaulty = work.recipients.contains { watch.fault[key]?[$0] != nil }
        demand(!isFaulty, "\(key) at the relay for its content")
        demand(watch.doubt[key] == nil, "\(key) at the relay, though it may have arrived")
    }

    /// From a source that was refused nothing but a canary at a time, and through an open breaker nothing but a probe
    /// in each interval.
    mutating func watchOver(_ plan: SessionPlan) {
        guard plan.host != Self.relayHost, let session = scene.planner.sessions[plan.id] else { return }
        let receiver = session.receiver
        let source = plan.source
        let place = "\(receiver.name) \(source.name)"
        if let rest = receiver.paths[source.address]?.cooldown {
            demand(rest.until <= scene.now, "\(place) while it rests")
            watch.canaries = watch.canaries.filter { scene.planner.sessions[$0.key] != nil }
            demand(!watch.canaries.values.contains(place), "a second canary at \(place)")
            watch.canaries[plan.id] = place
        }
        let gate = "\(receiver.name) \(source.range)"
        guard let range = receiver.ranges[source.range], range.isOpen else { return watch.probed[gate] = nil }
        demand(range.until <= scene.now, "\(place) while its range rests")
        guard !range.warm.contains(source.address) else { return }
        if let last = watch.probed[gate] {
            demand(
                scene.now - last >= scene.planner.configuration.probeInterval, "\(place) faster than probes may come")
        }
        watch.probed[gate] = scene.now
    }
}
