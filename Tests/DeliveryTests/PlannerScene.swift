import DNS
import Mail
import NIOCore
import Queue
import SMTP

@testable import Delivery

/// A planner with a manual clock, and what it wants done, so that a test reads as a transcript.
struct Scene {
    var planner: Planner
    var now = Timestamp(milliseconds: 1_800_000_000_000)
    /// Actions since the last `expect`.
    var actions: [PlannerAction] = []
    private var lastID: UInt64 = 0

    init(
        sources count: Int = 4, budget: Int = 4, messagesPerSession: Int = 20, steps: [IPMap.Step]? = nil,
        seed: UInt64 = 1, sites: [String: IPMap.FixedSite] = [:], limits: [SiteRule] = [], nullPool: [Int] = [],
        relays: [IPMap.Relay] = [], routes: [String: IPMap.Route] = [:],
        rules: ReplyRules,
        configure: (inout PlannerConfiguration) -> Void = { _ in }
    ) {
        var configuration = PlannerConfiguration()
        configuration.jitter = 0
        configure(&configuration)
        let sources = (1...count).map { number in
            Source(
                name: "lab-\(number)", address: IPAddress(v4: 0x7F4D_0000 + UInt32(number)),
                ehlo: "out-\(number).lab.example",
                range: nullPool.contains(number - 1) ? "narrow" : "lab")
        }
        var map = IPMap(
            pools: ["main": IPMap.Pool(name: "main", sources: sources, messagesPerSession: messagesPerSession)],
            routes: ["default": IPMap.Route(steps ?? [IPMap.Step(pool: "main", budget: budget)])], sites: sites,
            rules: limits)
        for relay in relays { map.relays[relay.name] = relay }
        map.routes.merge(routes) { $1 }
        if !nullPool.isEmpty {
            map.pools["narrow"] = IPMap.Pool(name: "narrow", sources: nullPool.map { sources[$0] })
            map.routes["notices"] = IPMap.Route(
                [IPMap.Step(pool: "narrow", budget: 1)], when: IPMap.Condition(nullSender: true))
        }
        planner = Planner(configuration: configuration, map: map, rules: rules, seed: seed)
    }

    mutating func work(
        _ recipients: [String], customer: String = "acme", size: Int = 100, eightBit: Bool = false,
        expiresIn: Timestamp.Span = .days(5), progress: Progress? = nil, sender: ReversePath = .null,
        request: NoticeRequest? = nil, verdict: Screening.Verdict? = nil, score: Double? = nil
    ) -> [Work] {
        lastID += 1
        let message = QueuedMessage(
            id: MessageID(value: lastID), customer: customer, sender: sender, eightBit: eightBit, utf8: false,
            size: size, arrived: now, expires: now + expiresIn, request: request,
            verdict: verdict, score: score, content: .inline(ByteBuffer(repeating: 65, count: size)))
        let addresses = recipients.map { text -> Address in
            let parts = text.split(separator: "@")
            return Address(localPart: String(parts[0]), domain: String(parts[1]))
        }
        var domains: [String] = []
        for address in addresses where !domains.contains(address.domain) { domains.append(address.domain) }
        return domains.map { domain in
            Work(
                message: message, domain: domain, recipients: addresses.filter { $0.domain == domain },
                progress: progress ?? Progress(due: now))
        }
    }

    @discardableResult
    mutating func arrive(_ works: [Work]) -> [Work] {
        let back = planner.arrived(works, at: now)
        collect()
        return back
    }

    /// Answers every open question: one host named after the domain, unless told otherwise.
    mutating func resolve(_ answer: (String) -> Resolution = { .hosts(Scene.hosts(["mx.\($0)": 10])) }) {
        let queries = actions.compactMap { action in if case .resolve(let query) = action { query } else { nil } }
        actions.removeAll { if case .resolve = $0 { true } else { false } }
        for query in queries {
            planner.resolved(query, answer(query.domain), at: now)
            collect()
        }
    }

    static func hosts(_ names: [String: UInt16]) -> HostSet {
        let sorted = names.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
        let hosts = sorted.map { entry in
            HostSet.Host(
                name: entry.key, preference: entry.value,
                addresses: [address(of: entry.key)], secure: false)
        }
        return HostSet(hosts: hosts, key: sorted.map { "\($0.value) \($0.key)" }.joined(separator: " "))
    }

    /// One for each name: hosts are remembered by address.
    static func address(of name: String) -> IPAddress {
        IPAddress(v4: 0xC633_0000 | name.utf8.reduce(5_381) { ($0 &* 33 &+ UInt32($1)) & 0xFFFF })
    }

    mutating func collect() {
        actions += planner.takeActions()
    }

    mutating func take() -> [PlannerAction] {
        defer { actions = [] }
        return actions
    }

    /// The sessions asked for; all else stays in `actions`.
    mutating func openings() -> [SessionPlan] {
        var plans: [SessionPlan] = []
        actions.removeAll { action in
            if case .open(let plan) = action {
                plans.append(plan)
                return true
            }
            return false
        }
        return plans
    }

    mutating func transactions() -> [(SessionID, Transaction)] {
        var sends: [(SessionID, Transaction)] = []
        actions.removeAll { action in
            if case .send(let id, let transaction) = action {
                sends.append((id, transaction))
                return true
            }
            return false
        }
        return sends
    }

    mutating func settlements() -> [Settlement] {
        var found: [Settlement] = []
        actions.removeAll { action in
            if case .settle(let settlements) = action {
                found += settlements
                return true
            }
            return false
        }
        return found
    }

    mutating func attempts() -> [TraceEvent.Attempt] {
        var found: [TraceEvent.Attempt] = []
        actions.removeAll { action in
            if case .trace(.attempted(let attempt)) = action {
                found.append(attempt)
                return true
            }
            return false
        }
        return found
    }

    mutating func postponed() -> [String: Timestamp] {
        var found: [String: Timestamp] = [:]
        for case .postpone(let domain, let until) in actions { found[domain] = until }
        return found
    }

    mutating func open(_ plan: SessionPlan, offers: HostOffers = .all) {
        planner.opened(plan.id, facts: SessionFacts(tls: nil, offers: offers), at: now)
        collect()
    }

    mutating func fail(_ plan: SessionPlan, _ phase: Phase, _ answer: Answer) {
        planner.failed(plan.id, with: PhaseAnswer(phase: phase, answer: answer), at: now)
        collect()
    }

    mutating func answer(_ id: SessionID, _ answers: [PhaseAnswer], reusable: Bool = true) {
        planner.finished(id, TransactionResult(answers: answers, reusable: reusable), at: now)
        collect()
    }

    mutating func wait(_ span: Timestamp.Span) {
        now = now + span
        planner.tick(at: now)
        collect()
    }
}

extension PhaseAnswer {
    static let lacksUTF8 = PhaseAnswer(phase: .mail, answer: .trouble(.missingExtension, "SMTPUTF8 is not offered"))
    static let lacks8BitMIME = PhaseAnswer(phase: .mail, answer: .trouble(.missing8BitMIME, "8BITMIME is not offered"))
    static let tooLarge = PhaseAnswer(phase: .mail, answer: .trouble(.tooLarge, "the host takes 10 octets at most"))

    static let accepted = PhaseAnswer(phase: .dot, answer: .reply(Reply(250, EnhancedStatus(2, 0, 0), "Ok")))

    static func said(_ code: UInt16, _ status: EnhancedStatus?, _ text: String, at phase: Phase) -> PhaseAnswer {
        PhaseAnswer(phase: phase, answer: .reply(Reply(code, status, text)))
    }
}

extension Planner {
    /// Sites that nothing is sent to for now.
    var blockedSites: Int { sites.values.count { ($0.blocked?.until ?? now) > now } }
}

extension IPMap.Relay {
    /// A relay that knows us by a password.
    static func provider(password: String = "s3cret", limits: SiteLimits = SiteLimits()) -> IPMap.Relay {
        IPMap.Relay(
            name: "provider", host: "smtp.provider.example", login: Login(username: "figaro", password: password),
            sources: [Source(name: "relay-provider", address: IPAddress(v4: 0), ehlo: "relay.example")],
            limits: limits, afterVolume: .hours(1))
    }
}
