import DNS
import Mail
import NIOCore
import Queue

@testable import Delivery

/// A queue, receivers, a relay and a clock that do as chance will, around a planner.
struct RandomWorld {
    var scene: Scene
    var random: PlannerRandom
    var queue = WorldQueue()
    var opening: [SessionPlan] = []
    var wired: [SessionID: Transaction] = [:]
    var idle: Set<SessionID> = []
    var lookups: [HostQuery] = []
    var fetches: [(domain: String, limit: Int)] = []
    var messages: [MessageID: QueuedMessage] = [:]
    /// Sessions whose host offers DSN.
    var telling: Set<SessionID> = []
    /// All sessions that were asked for.
    var plans: [SessionID: SessionPlan] = [:]
    /// Works whose last answers were all about content or sender, and the source that must come again.
    var bound: [WorkKey: String] = [:]
    var justBound: Set<WorkKey> = []
    /// Recipients of the transaction on a session, when it was answered.
    var deliveredOn: [String: SessionID] = [:]
    var watch = Watch()
    /// Since when everybody takes everything.
    var kindSince: Timestamp?
    /// What must never happen and did, and what happened until then.
    var faults: [String] = []
    var story: [StoryLine] = []

    /// Sources that one message is shown from before the relay.
    let budget: Int
    static let sources = 6
    static let relayName = "provider"

    init(seed: UInt64) throws {
        var listed = ReplyRule(id: "listed", cause: .source, source: "test", examples: ["550 5.7.1 blocked using x"])
        listed.patterns = ["blocked using"]
        var spam = ReplyRule(id: "spam", cause: .content, source: "test", examples: ["451 looks like spam"])
        spam.patterns = ["looks like spam"]
        var forged = ReplyRule(id: "forged", cause: .auth, source: "test", examples: ["451 spf fails"])
        forged.patterns = ["spf fails"]
        var slow = ReplyRule(id: "slow", cause: .volume, source: "test", examples: ["452 too much mail"])
        slow.patterns = ["too much mail"]
        var near = ReplyRule(id: "near", cause: .range, source: "test", examples: ["550 your network is blocked"])
        near.patterns = ["your network is blocked"]
        let relay = IPMap.Step.relay(Self.relayName, within: .hours(24))
        // Without a relay, and with one that comes soon or late.
        budget = [4, 2, 4][Int(seed % 3)]
        let pool = IPMap.Step(pool: "main", budget: budget)
        let hasRelay = seed % 3 != 0
        let provider = IPMap.Relay(
            name: Self.relayName, host: Self.relayHost,
            sources: [Source(name: "relay-1", address: IPAddress(v4: 1), ehlo: "out.example", range: "relay")])
        scene = Scene(
            sources: Self.sources, messagesPerSession: 3, steps: hasRelay ? [pool, relay] : [pool], seed: seed,
            relays: hasRelay ? [provider] : [],
            rules: try ReplyRules([listed, spam, forged, slow, near])
        ) {
            $0.window = 60
            $0.sessionsPerSite = 3
            $0.recipientsPerTransaction = 3
            $0.rangeBreaker = 4
            $0.cooldown = [.minutes(2), .minutes(10), .hours(1)]
            $0.burns?.perSite = 3
        }
        random = PlannerRandom(seed: seed &* 7_919)
    }

    mutating func step() {
        watch.charging = nil
        switch Int.random(in: 0..<10, using: &random) {
        case 0...2: arrive()
        case 3: read()
        case 4: resolve()
        case 5: open()
        case 6...8: answer()
        default:
            pass(.milliseconds(.random(in: 1...600_000, using: &random)))
            let resting = idle.sorted { $0.value < $1.value }
            if let id = resting.randomElement(using: &random), Bool.random(using: &random) {
                tell("\(id.value) is closed by its host")
                idle.remove(id)
                scene.planner.closed(id, at: scene.now)
            }
        }
        goOn()
    }

    /// What the planner wants is done, and the queue looks after deadlines.
    mutating func goOn() {
        collect()
        let asked = fetches
        fetches = []
        for (domain, limit) in asked {
            fetch(domain, limit)
            collect()
        }
        expire()
        collect()
    }

    mutating func pass(_ span: Timestamp.Span) {
        tell("\(span.milliseconds) ms pass")
        scene.wait(span)
    }

    private mutating func arrive() {
        let domains = ["a.example", "b.example", "c.example"]
        let recipients = (1...Int.random(in: 1...5, using: &random)).map { number in
            "u\(number)@\(domains[Int.random(in: 0..<3, using: &random)])"
        }
        let customer = ["x", "y"][Int.random(in: 0..<2, using: &random)]
        let lives: [Timestamp.Span] = [.minutes(20), .hours(3), .days(5)]
        let life = lives[Int.random(in: 0..<3, using: &random)]
        let works = scene.work(
            recipients, customer: customer, expiresIn: life, request: request(for: recipients))
        let name = works.first?.message.id.value ?? 0
        tell("\(name) of \(customer) for \(recipients), within \(life.milliseconds / 60_000) min")
        for work in works {
            queue.accept(work)
            messages[work.message.id] = work.message
        }
        for work in scene.planner.arrived(works, at: scene.now) { queue.takeBack(work) }
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

    mutating func read() {
        let due = queue.dueDomains(at: scene.now)
        tell("due: \(due.names), failing \(due.failing.sorted())")
        scene.planner.due(domains: due.names, failing: due.failing, at: scene.now)
    }

    private mutating func resolve() {
        guard !lookups.isEmpty else { return }
        let lookup = lookups.removeFirst()
        let hosts = ["mx1.shared.example": UInt16(10), "mx2.shared.example": 20]
        let answer: Resolution =
            switch Int.random(in: 0..<6, using: &random) {
            case 0: .later("SERVFAIL")
            case 1: .never(.nullMX)
            case _ where lookup.domain.hasPrefix("relay "): .hosts(Scene.hosts([Self.relayHost: 1]))
            case 2: .hosts(Scene.hosts(["mx.\(lookup.domain)": 5]))
            default: .hosts(Scene.hosts(hosts))
            }
        tell("\(lookup.domain) is \(answer)")
        scene.planner.resolved(lookup, answer, at: scene.now)
    }

    private mutating func open() {
        guard !opening.isEmpty else { return }
        let plan = opening.removeFirst()
        let answer: PhaseAnswer
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            watch.refused(plan, isRange: false)
            watch.charging = (plan.source.name, nil)
            // What would come from this source alone was refused with it, and goes from others.
            bound = bound.filter { $0.value != plan.source.name }
            answer = .said(554, nil, "blocked using x", at: .banner)
        case 1: answer = PhaseAnswer(phase: .connect, answer: .trouble(.timeout, "timed out"))
        case 2:
            watch.unbound[plan.source.name] = scene.now
            answer = PhaseAnswer(phase: .connect, answer: .trouble(.local, "cannot bind"))
        default:
            idle.insert(plan.id)
            let tells = Bool.random(using: &random)
            if tells { telling.insert(plan.id) }
            tell("\(plan.id.value) opens")
            return scene.planner.opened(plan.id, facts: SessionFacts(tls: nil, notices: tells), at: scene.now)
        }
        tell("\(plan.id.value) does not open: \(answer.said)")
        scene.planner.failed(plan.id, with: answer, at: scene.now)
    }

    private static let answers: [PhaseAnswer] = [
        .accepted, .accepted, .said(550, EnhancedStatus(5, 7, 1), "blocked using x", at: .rcpt),
        .said(450, EnhancedStatus(4, 2, 0), "later", at: .rcpt), .said(550, nil, "no", at: .rcpt),
        .said(451, nil, "looks like spam", at: .dot), .said(451, nil, "spf fails", at: .rcpt),
        .said(452, nil, "too much mail", at: .rcpt), .said(550, nil, "your network is blocked", at: .rcpt),
        PhaseAnswer(phase: .mail, answer: .trouble(.connection, "reset")),
        PhaseAnswer(phase: .dot, answer: .trouble(.timeout, "timed out")),
    ]

    /// Each recipient's own, or one for all.
    private mutating func answer() {
        guard let (id, transaction) = wired.min(by: { $0.key.value < $1.key.value }) else { return }
        let reusable = Bool.random(using: &random)
        let one = Bool.random(using: &random) ? Self.answers.randomElement(using: &random) : nil
        let answers = transaction.recipients.map { _ in
            one ?? Self.answers[Int.random(in: 0..<Self.answers.count, using: &random)]
        }
        answer(transaction, on: id, answers, reusable: reusable)
    }

    mutating func answer(
        _ transaction: Transaction, on id: SessionID, _ answers: [PhaseAnswer], reusable: Bool
    ) {
        wired[id] = nil
        tell("\(id.value) answers \(answers.map(\.said))\(reusable ? "" : " and closes")")
        bind(transaction, to: id, answers)
        note(transaction, on: id, answers)
        if reusable { idle.insert(id) } else { idle.remove(id) }
        for recipient in transaction.recipients { deliveredOn["\(transaction.message.id) \(recipient)"] = id }
        scene.planner.finished(id, TransactionResult(answers: answers, reusable: reusable), at: scene.now)
    }

    mutating func collect() {
        scene.collect()
        let actions = scene.take()
        // Nobody waits for a source that rests for hours or was taken out of use.
        for case .log(let note) in actions where note.text == "greylist pin released" {
            bound = bound.filter { $0.value != note.facts["source"] }
        }
        for action in actions {
            tell(action)
            switch action {
            case .resolve(let lookup): lookups.append(lookup)
            case .open(let plan):
                opening.append(plan)
                plans[plan.id] = plan
                watchOver(plan)
            case .send(let id, let transaction):
                demand(wired[id] == nil, "two transactions at a time on \(id.value)")
                check(transaction, on: id)
                idle.remove(id)
                wired[id] = transaction
            case .close(let id): idle.remove(id)
            case .settle(let settlements): for settlement in settlements { settle(settlement) }
            case .fetch(let domain, let limit): fetches.append((domain, limit))
            case .postpone(let domain, let until):
                // At once where a receiver takes a range again.
                demand(until >= scene.now, "\(domain) is postponed to the past")
                queue.postpone(domain, until: until)
            case .hold(let customer, let order, _): queue.held[customer] = order
            case .trace, .remember, .log: break
            }
        }
    }

    private mutating func fetch(_ domain: String, _ limit: Int) {
        let page = queue.fetch(domain, limit, at: scene.now)
        tell("\(domain) has \(page.works.map(\.message.id.value))\(page.more ? " and more" : "")")
        scene.planner.fetched(domain: domain, works: page.works, more: page.more, at: scene.now)
    }
}

extension Timestamp.Span {
    static func milliseconds(_ count: Int64) -> Timestamp.Span { Timestamp.Span(milliseconds: count) }
}
