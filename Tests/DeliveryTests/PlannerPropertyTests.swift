import DNS
import Foundation
import Mail
import Queue
import Testing

@testable import Delivery

/// Random worlds: whatever happens in whatever order, nothing is lost, kept without a next event, or ended twice.
@Suite("Planner, random events")
struct PlannerPropertyTests {
    @Test(arguments: [UInt64](1...60))
    func `every work ends once or goes back to the queue with a due time`(seed: UInt64) throws {
        try Self.run(seed: seed, steps: 600)
    }

    /// Ten thousand short ones where they are fast; a failing one says how it is run again.
    @Test func `ten thousand worlds`() throws {
        #if DEBUG
        let seeds: ClosedRange<UInt64> = 1...300
        #else
        let seeds: ClosedRange<UInt64> = 1...10_000
        #endif
        let asked = ProcessInfo.processInfo.environment["FIGARO_SEED"].flatMap { UInt64($0) }
        for seed in asked.map({ $0...$0 }) ?? seeds {
            try Self.run(seed: seed, steps: 120)
        }
    }

    private static func run(seed: UInt64, steps: Int) throws {
        var world = try RandomWorld(seed: seed)
        for _ in 0..<steps { try world.step() }
        try world.settleDown()
        let again = Comment(
            rawValue: "seed \(seed), \(steps) steps: SWIFT_DETERMINISTIC_HASHING=1 FIGARO_SEED=\(seed) runs it again")
        #expect(world.faults.isEmpty, again)
        #expect(world.held.isEmpty, again)
        #expect(world.scene.planner.works == 0, again)
        #expect(world.scene.planner.octets == 0, again)
        #expect(world.scene.planner.unproven == 0, again)
        #expect(world.scene.planner.promised == 0, again)
        #expect(world.scene.planner.askedForOld == 0, again)
        #expect(world.scene.planner.trials.open == 0, again)
        #expect(world.scene.planner.askedForFailing == 0, again)
    }
}

struct RandomWorld {
    var scene: Scene
    var random: PlannerRandom
    /// Works handed to the planner and not settled.
    var held: Set<WorkKey> = []
    /// Those as the queue knows them.
    var known: [WorkKey: Work] = [:]
    /// Works in the store, with what is left of them.
    var stored: [WorkKey: Work] = [:]
    var ended: [String: Int] = [:]
    var opening: [SessionPlan] = []
    var wired: [SessionID: Transaction] = [:]
    var idle: Set<SessionID> = []
    var lookups: [HostQuery] = []
    var messages: [MessageID: QueuedMessage] = [:]
    /// Sessions whose host offers DSN.
    var telling: Set<SessionID> = []
    /// What must never happen and did.
    var faults: [String] = []
    /// The source of each session that was asked for.
    var sources: [SessionID: String] = [:]
    /// Single recipients whose last answer was about content or sender, and the source that must come again.
    var bound: [WorkKey: String] = [:]
    var justBound: Set<WorkKey> = []
    /// Recipients of the transaction on a session, when it was answered.
    var deliveredOn: [String: SessionID] = [:]

    init(seed: UInt64) throws {
        var listed = ReplyRule(id: "listed", cause: .source, source: "test", examples: ["550 5.7.1 blocked using x"])
        listed.patterns = ["blocked using"]
        var spam = ReplyRule(id: "spam", cause: .content, source: "test", examples: ["451 looks like spam"])
        spam.patterns = ["looks like spam"]
        var forged = ReplyRule(id: "forged", cause: .auth, source: "test", examples: ["451 spf fails"])
        forged.patterns = ["spf fails"]
        scene = Scene(
            sources: 6, messagesPerSession: 3, seed: seed, rules: try ReplyRules([listed, spam, forged])
        ) {
            $0.window = 60
            $0.sessionsPerSite = 3
            $0.recipientsPerTransaction = 3
        }
        random = PlannerRandom(seed: seed &* 7_919)
    }

    mutating func step() throws {
        switch Int.random(in: 0..<10, using: &random) {
        case 0...2: arrive()
        case 3: read()
        case 4: resolve()
        case 5: try open()
        case 6...8: try answer()
        default:
            scene.wait(.milliseconds(.random(in: 1...600_000, using: &random)))
            if let id = idle.randomElement(using: &random), Bool.random(using: &random) {
                idle.remove(id)
                scene.planner.closed(id, at: scene.now)
            }
        }
        try collect()
    }

    private mutating func arrive() {
        let domains = ["a.example", "b.example", "c.example"]
        let recipients = (1...Int.random(in: 1...5, using: &random)).map { number in
            "u\(number)@\(domains[Int.random(in: 0..<3, using: &random)])"
        }
        let customer = ["x", "y"][Int.random(in: 0..<2, using: &random)]
        let works = scene.work(recipients, customer: customer, request: request(for: recipients))
        for work in works {
            held.insert(work.key)
            known[work.key] = work
            messages[work.message.id] = work.message
        }
        for work in scene.planner.arrived(works, at: scene.now) {
            held.remove(work.key)
            stored[work.key] = work
        }
    }

    /// Some ask for a notice of success, some for none, most for nothing.
    private mutating func request(for recipients: [String]) -> NoticeRequest? {
        guard Bool.random(using: &random) else { return nil }
        var request = NoticeRequest()
        for recipient in Set(recipients).sorted() {
            let wishes: [RecipientRequest.Notify?] = [nil, .success, [.success, .failure], .never]
            guard let wish = wishes[Int.random(in: 0..<4, using: &random)] else { continue }
            let parts = recipient.split(separator: "@")
            request.add(
                Address(localPart: String(parts[0]), domain: String(parts[1])), RecipientRequest(notify: wish))
        }
        return request
    }

    private mutating func read() {
        let due = stored.values.filter { $0.progress.due <= scene.now && !held.contains($0.key) }
        let names = Set(due.map(\.domain))
        let failing = names.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
        scene.planner.due(domains: names.sorted(), failing: failing, at: scene.now)
    }

    private mutating func resolve() {
        guard !lookups.isEmpty else { return }
        let lookup = lookups.removeFirst()
        let hosts = ["mx1.shared.example": UInt16(10), "mx2.shared.example": 20]
        let answer: Resolution =
            switch Int.random(in: 0..<6, using: &random) {
            case 0: .later("SERVFAIL")
            case 1: .never(.nullMX)
            case 2: .hosts(Scene.hosts(["mx.\(lookup.domain)": 5]))
            default: .hosts(Scene.hosts(hosts))
            }
        scene.planner.resolved(lookup, answer, at: scene.now)
    }

    private mutating func open() throws {
        guard !opening.isEmpty else { return }
        let plan = opening.removeFirst()
        switch Int.random(in: 0..<6, using: &random) {
        case 0: scene.planner.failed(plan.id, with: .said(554, nil, "blocked using x", at: .banner), at: scene.now)
        case 1:
            let answer = PhaseAnswer(phase: .connect, answer: .trouble(.timeout, "timed out"))
            scene.planner.failed(plan.id, with: answer, at: scene.now)
        case 2:
            let answer = PhaseAnswer(phase: .connect, answer: .trouble(.local, "cannot bind"))
            scene.planner.failed(plan.id, with: answer, at: scene.now)
        default:
            idle.insert(plan.id)
            let tells = Bool.random(using: &random)
            if tells { telling.insert(plan.id) }
            scene.planner.opened(plan.id, facts: SessionFacts(tls: nil, notices: tells), at: scene.now)
        }
    }

    private mutating func answer() throws {
        guard let (id, transaction) = wired.min(by: { $0.key.value < $1.key.value }) else { return }
        wired[id] = nil
        let reusable = Bool.random(using: &random)
        let choices: [PhaseAnswer] = [
            .accepted, .accepted, .said(550, EnhancedStatus(5, 7, 1), "blocked using x", at: .rcpt),
            .said(450, EnhancedStatus(4, 2, 0), "later", at: .rcpt), .said(550, nil, "no", at: .rcpt),
            .said(451, nil, "looks like spam", at: .dot), .said(451, nil, "spf fails", at: .rcpt),
            PhaseAnswer(phase: .mail, answer: .trouble(.connection, "reset")),
            PhaseAnswer(phase: .dot, answer: .trouble(.timeout, "timed out")),
        ]
        let answers = transaction.recipients.map { _ in choices[Int.random(in: 0..<choices.count, using: &random)] }
        bind(transaction, to: id, answers)
        if reusable { idle.insert(id) } else { idle.remove(id) }
        for recipient in transaction.recipients { deliveredOn["\(transaction.message.id) \(recipient)"] = id }
        scene.planner.finished(id, TransactionResult(answers: answers, reusable: reusable), at: scene.now)
    }

    /// The message that is left alone with such an answer must come from the same source the next time.
    private mutating func bind(_ transaction: Transaction, to id: SessionID, _ answers: [PhaseAnswer]) {
        for domain in Set(transaction.recipients.map(\.domain)) {
            let key = WorkKey(message: transaction.message.id, domain: domain)
            let own = zip(transaction.recipients, answers).filter { $0.0.domain == domain }
            bound[key] = nil
            guard known[key]?.recipients.count == own.count,
                own.allSatisfy({
                    $0.1.answer.said.hasSuffix("looks like spam") || $0.1.answer.said.hasSuffix("spf fails")
                })
            else { continue }
            bound[key] = sources[id]
            justBound.insert(key)
        }
    }

    /// What must hold whenever something is put on the wire.
    private mutating func check(_ transaction: Transaction, on id: SessionID) {
        guard let source = sources[id] else { return faults.append("a transaction without a session") }
        for domain in Set(transaction.recipients.map(\.domain)) {
            let key = WorkKey(message: transaction.message.id, domain: domain)
            guard let work = known[key] else { continue }
            if work.progress.step < scene.planner.table.steps(of: work.progress.route).count,
                work.progress.tried.contains(source), work.progress.pinned != source
            {
                faults.append("\(key) from \(source), which it was refused from")
            }
            if let kept = bound[key], kept != source { faults.append("\(key) moved from \(kept) to \(source)") }
            if work.message.expires <= scene.now { faults.append("\(key) after its deadline") }
        }
    }

    private mutating func collect() throws {
        scene.collect()
        let actions = scene.take()
        // Nobody waits for a source that rests for hours or was taken out of use.
        for case .log(let note) in actions where note.text == "greylist pin released" {
            bound = bound.filter { $0.value != note.facts["source"] }
        }
        for action in actions {
            switch action {
            case .resolve(let lookup): lookups.append(lookup)
            case .open(let plan):
                opening.append(plan)
                sources[plan.id] = plan.source.name
            case .send(let id, let transaction):
                #expect(wired[id] == nil, "one transaction at a time")
                #expect(!transaction.recipients.isEmpty)
                check(transaction, on: id)
                idle.remove(id)
                wired[id] = transaction
            case .close(let id): idle.remove(id)
            case .settle(let settlements): try settle(settlements)
            case .fetch(let domain, let limit): fetch(domain, limit)
            // At once where a receiver takes a range again.
            case .postpone(_, let until): #expect(until >= scene.now)
            case .trace, .remember, .log, .hold: break
            }
        }
    }

    private mutating func settle(_ settlements: [Settlement]) throws {
        for settlement in settlements {
            #expect(held.contains(settlement.key), "settled what was not handed out")
            for end in settlement.ended {
                check(end, of: settlement)
                ended["\(settlement.key.message) \(end.recipient)", default: 0] += 1
            }
            if settlement.unchanged {
                #expect(settlement.ended.isEmpty)
                #expect(settlement.remaining?.progress == known[settlement.key]?.progress)
                #expect(settlement.remaining?.recipients == known[settlement.key]?.recipients)
            }
            if let work = settlement.remaining, !settlement.stillHandedOut, !settlement.unchanged,
                work.progress.due > work.message.expires
            {
                faults.append("\(settlement.key) is due after its deadline")
            }
            // A source that cannot be bound keeps nobody waiting: the pin is given up.
            if justBound.remove(settlement.key) != nil, let kept = bound[settlement.key],
                settlement.remaining?.progress.pinned != kept
            {
                faults.append("\(settlement.key) need not come back from its source")
            }
            if settlement.remaining?.progress.pinned == nil { bound[settlement.key] = nil }
            stored[settlement.key] = settlement.remaining
            known[settlement.key] = settlement.remaining
            if !settlement.stillHandedOut { held.remove(settlement.key) }
        }
        #expect(ended.values.allSatisfy { $0 == 1 }, "ended twice")
    }

    /// A notice quotes something, and of success we tell where it was asked for and the host does not tell, only there.
    private func check(_ end: Settlement.Ended, of settlement: Settlement) {
        let message = messages[settlement.key.message]
        switch end.how {
        case .delivered, .relayed:
            let session = deliveredOn["\(settlement.key.message) \(end.recipient)"]
            let tells = session.map(telling.contains) ?? false
            let wants = message?.request?[end.recipient]?.notify?.contains(.success) ?? false
            #expect(end.isRelayed == (wants && !tells))
            #expect((end.report == nil) == !end.isRelayed)
        case .failed, .expired:
            #expect(!end.isRelayed)
            #expect(end.report?.refusal != nil)
        case .deleted: Issue.record("only operators delete")
        }
    }

    private mutating func fetch(_ domain: String, _ limit: Int) {
        let due = stored.values.filter { $0.domain == domain && $0.progress.due <= scene.now && !held.contains($0.key) }
        let page = due.sorted { $0.message.id < $1.message.id }.prefix(limit)
        for work in page { held.insert(work.key) }
        scene.planner.fetched(domain: domain, works: Array(page), more: due.count > page.count, at: scene.now)
        scene.collect()
    }

    /// A kind world from here on: everything that is under way gets its answer.
    mutating func settleDown() throws {
        for _ in 0..<5_000 where !held.isEmpty || !opening.isEmpty {
            while !lookups.isEmpty {
                let lookup = lookups.removeFirst()
                scene.planner.resolved(lookup, .hosts(Scene.hosts(["mx.kind.example": 1])), at: scene.now)
            }
            while let plan = opening.popLast() {
                idle.insert(plan.id)
                scene.planner.opened(plan.id, facts: SessionFacts(tls: nil), at: scene.now)
            }
            for (id, transaction) in wired {
                wired[id] = nil
                let answers = transaction.recipients.map { _ in PhaseAnswer.accepted }
                for recipient in transaction.recipients { deliveredOn["\(transaction.message.id) \(recipient)"] = id }
                scene.planner.finished(id, TransactionResult(answers: answers, reusable: true), at: scene.now)
            }
            try collect()
            scene.wait(.milliseconds(250))
            try collect()
        }
    }
}

extension Timestamp.Span {
    fileprivate static func milliseconds(_ count: Int64) -> Timestamp.Span { Timestamp.Span(milliseconds: count) }
}
