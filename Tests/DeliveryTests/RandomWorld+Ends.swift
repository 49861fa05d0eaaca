import DNS
import Mail
import Queue

@testable import Delivery

/// How a random world comes to its end, and what must be true then.
extension RandomWorld {
    /// In a world where everybody takes everything: longer than any schedule, rest and pace together.
    private static let patience = Timestamp.Span.hours(12)

    /// The queue's own watch over deadlines, which needs nothing of the planner but what is on the wire.
    mutating func expire() {
        let late = queue.late(at: scene.now)
        guard !late.isEmpty else { return }
        let onWire = Set(scene.planner.wired(among: late.map(\.key)))
        for work in late {
            let own = wired.values.filter { $0.message.id == work.message.id }
            let isWired = own.contains { $0.recipients.contains { $0.domain == work.domain } }
            demand(!isWired || onWire.contains(work.key), "\(work.key) is on the wire, and the planner denies it")
            demand(!own.isEmpty || !onWire.contains(work.key), "\(work.key) is not on the wire as the planner says")
        }
        for work in queue.expire(late, wired: onWire, at: scene.now) {
            tell("\(work.message.id.value) \(work.domain) expires")
            bound[work.key] = nil
            guard let kindSince, work.deadline - kindSince > Self.patience else { continue }
            fault("\(work.key) expired, though everybody took everything for hours")
        }
    }

    /// Operators let held customers' mail go.
    private mutating func release() {
        guard !queue.held.isEmpty else { return }
        var orders = StandingOrders()
        orders.customers = queue.held
        scene.planner.steer(orders, at: scene.now)
        scene.planner.steer(StandingOrders(), at: scene.now)
        queue.letGo()
        goOn()
    }

    private var isOver: Bool {
        queue.rows.isEmpty && queue.out.isEmpty && opening.isEmpty && wired.isEmpty && lookups.isEmpty
            && fetches.isEmpty
    }

    /// A kind world from here on: everything that is under way gets its answer, and all that waits is taken in the end.
    mutating func settleDown() {
        kindSince = scene.now
        release()
        var round = 0
        while !isOver, round < 3_000 {
            round += 1
            answerKindly()
            // What is under way first; then time passes until something is due.
            let isIdle = queue.out.isEmpty && opening.isEmpty
            pass(isIdle ? .minutes(10) : .milliseconds(round < 40 ? 250 : 5_000))
            goOn()
            read()
            goOn()
        }
    }

    private mutating func answerKindly() {
        while !lookups.isEmpty {
            let lookup = lookups.removeFirst()
            let name = lookup.domain.hasPrefix("relay ") ? Self.relayHost : "mx.kind.example"
            scene.planner.resolved(lookup, .hosts(Scene.hosts([name: 1])), at: scene.now)
        }
        while let plan = opening.popLast() {
            idle.insert(plan.id)
            scene.planner.opened(plan.id, facts: SessionFacts(tls: nil), at: scene.now)
        }
        for (id, transaction) in wired.sorted(by: { $0.key.value < $1.key.value }) {
            answer(transaction, on: id, transaction.recipients.map { _ in .accepted }, reusable: true)
        }
        goOn()
    }

    /// Nobody answers any more until every deadline is over; then every session breaks.
    mutating func standStill() {
        release()
        for _ in 0..<80 {
            pass(.hours(2))
            goOn()
            read()
            goOn()
        }
        for key in queue.rows.keys { fault("\(key) outlived its deadline") }
        for (id, transaction) in wired.sorted(by: { $0.key.value < $1.key.value }) {
            let broken = PhaseAnswer(phase: .dot, answer: .trouble(.timeout, "timed out"))
            answer(transaction, on: id, transaction.recipients.map { _ in broken }, reusable: false)
            goOn()
        }
        var round = 0
        while !isOver, round < 1_000 {
            round += 1
            while let plan = opening.popLast() {
                let answer = PhaseAnswer(phase: .connect, answer: .trouble(.timeout, "timed out"))
                scene.planner.failed(plan.id, with: answer, at: scene.now)
            }
            while let lookup = lookups.popLast() {
                scene.planner.resolved(lookup, .later("SERVFAIL"), at: scene.now)
            }
            goOn()
            pass(.milliseconds(round < 100 ? 250 : 60_000))
            goOn()
        }
    }

    /// Exactly one end for every recipient, and the planner has nothing left, nor thinks so.
    mutating func checkEnds() {
        for (key, recipients) in queue.accepted {
            for recipient in recipients {
                let ends = queue.ends["\(key.message) \(recipient)"] ?? 0
                demand(ends == 1, "\(key) \(recipient) has \(ends) ends")
            }
        }
        for key in queue.out { fault("\(key) is kept by the planner for good") }
        let planner = scene.planner
        let counts = [
            "works": planner.works, "octets": planner.octets, "unproven": planner.unproven,
            "promised": planner.promised, "asked for old": planner.askedForOld,
            "asked for failing": planner.askedForFailing, "trials": planner.trials.open,
        ]
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) {
            demand(count == 0, "the planner counts \(count) \(name)")
        }
    }
}
