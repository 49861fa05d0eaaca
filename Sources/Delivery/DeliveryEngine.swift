package import DNS
package import Logging
package import Mail
package import NIOCore
package import Queue
import Synchronization

/// Carries out what the planner decides: asks the resolver, opens and uses sessions, settles with the queue, and feeds
/// what came of it back as events.
///
/// Events come on many threads (commit thread, reader thread, event loops, resolver); one lock around the planner puts
/// them in order, and everything with an effect is done after the lock is released.
package final class DeliveryEngine: Dispatcher, SessionOwner {
    private struct State {
        var planner: Planner
        var sessions: [SessionID: any Session] = [:]
    }

    private let state: Mutex<State>
    private let queue: MailQueue
    private let resolver: any Resolver
    private let opener: Mutex<any SessionOpener>
    private let sink: any TraceSink
    private let time: any TimeSource
    private let logger: Logger
    private let loop: any EventLoop
    /// Remembers ways over restarts; set before the start.
    private let keeper = Mutex<(any PathKeeper)?>(nil)
    private let holder: Mutex<CustomerHolder?> = Mutex(nil)
    private let ticker: Mutex<RepeatedTask?> = Mutex(nil)

    package init(
        configuration: PlannerConfiguration, map: IPMap, rules: ReplyRules, queue: MailQueue, resolver: any Resolver,
        opener: any SessionOpener, trace: any TraceSink, logger: Logger = Logger(label: "delivery"),
        time: any TimeSource = SystemTime(), loop: any EventLoop,
        seed: UInt64 = .random(in: .min ... .max)
    ) {
        var planner = Planner(configuration: configuration, map: map, rules: rules, seed: seed)
        // Attempt ids grow with time as message ids do, so that a restart does not draw them again: a million attempts
        // a second would be needed to catch up with the clock.
        planner.startAttempts(after: UInt64(max(0, time.now().milliseconds)) << 10)
        self.state = Mutex(State(planner: planner))
        self.queue = queue
        self.resolver = resolver
        self.opener = Mutex(opener)
        self.sink = trace
        self.time = time
        self.logger = logger
        self.loop = loop
    }

    /// Goes on with what was known of ways when the relay last ran, and keeps it from here on; call before ``start()``.
    package func remember(_ rows: [PathRow], with keeper: any PathKeeper) {
        self.keeper.withLock { $0 = keeper }
        perform { planner, now in planner.remembered(rows, at: now) }
    }

    /// Keeps an order about a customer, and has the queue hold its mail; called on any thread, must not block.
    package typealias CustomerHolder = @Sendable (String, StandingOrders.Order, _ isNew: Bool) -> Void

    /// Call before ``start()``.
    package func setHolder(_ holder: @escaping CustomerHolder) { self.holder.withLock { $0 = holder } }

    package func customers() -> [KnownCustomer] { look { $0.customers(at: $1) } }

    /// Takes the queue's work from here on; call before the queue starts.
    package func start() {
        queue.attach(self)
        // A quarter second is fine enough for idle sessions and coarse enough to cost nothing.
        let task = loop.scheduleRepeatedTask(initialDelay: .milliseconds(250), delay: .milliseconds(250)) {
            [weak self] _ in
            self?.perform { planner, now in planner.tick(at: now) }
        }
        ticker.withLock { $0 = task }
    }

    /// Begins nothing new, and waits for what is on the wire.
    ///
    /// - Returns: whether every session ended within `grace`.
    package func stop(grace: TimeAmount) async -> Bool {
        perform { planner, now in planner.close(at: now) }
        let deadline = NIODeadline.now() + grace
        while !isQuiet, NIODeadline.now() < deadline {
            try? await Task.sleep(nanoseconds: 20_000_000)
        }
        ticker.withLock { $0?.cancel() }
        return isQuiet
    }

    /// How replies are read from here on.
    package var rules: ReplyRules {
        get { state.withLock { $0.planner.rules } }
        set { state.withLock { $0.planner.rules = newValue } }
    }

    /// How much there is in hand.
    package func figures() -> DeliveryFigures {
        let now = time.now()
        return state.withLock { $0.planner.figures(at: now) }
    }

    // MARK: Steering

    /// Takes the operators' orders as they are now, in place of all before.
    package func steer(_ orders: StandingOrders) {
        perform { planner, now in planner.steer(orders, at: now) }
    }

    /// Routes that customers' accounts name, in place of all before.
    package func assign(_ routes: [String: String]) {
        perform { planner, _ in planner.assign(routes) }
    }

    /// Goes on with other settings; sessions that are open keep theirs.
    package func replace(_ new: PlannerReplacement, opener: any SessionOpener) {
        self.opener.withLock { $0 = opener }
        perform { planner, now in planner.replace(new, at: now) }
    }

    package func sources() -> [KnownSource] { look { $0.sources(at: $1) } }

    package func paths(of source: String, limit: Int) -> [CoolingPath] {
        look { $0.paths(of: source, at: $1, limit: limit) }
    }

    package func sites() -> [SiteState] { look { $0.sites(at: $1) } }

    package func sites(named name: String) -> [SiteState] { look { $0.sites(named: name, at: $1) } }

    /// Receivers of which something is known, whether mail waits for them or not.
    package func receivers() -> [ReceiverState] { look { $0.knownReceivers(at: $1) } }

    package func receiver(named name: String) -> ReceiverState? { look { planner, _ in planner.receiver(named: name) } }

    /// Forgets what is known of a receiver: its next mail goes as to one that was never heard of.
    package func forget(receiver name: String) -> Forgotten {
        perform { planner, now in planner.forget(receiver: name, at: now) }
    }

    /// Forgets that receivers refused these sources; all receivers where none is named.
    package func forgive(_ addresses: [IPAddress], at name: String?) -> Forgotten {
        perform { planner, now in planner.forgive(addresses, at: name, now) }
    }

    package func hindrance(of domain: String) -> SiteState.Block? { look { $0.hindrance(of: domain, at: $1) } }

    /// Asks for the hosts as for a message, and calls back on any thread; in words why there are none.
    package func explain(
        _ question: RouteQuestion,
        then: @escaping @Sendable (Result<RouteExplanation, UnknownHosts>) -> Void
    ) {
        let answer: @Sendable (Resolution) -> Void = { [weak self] resolution in
            guard let self else { return }
            switch resolution {
            case .hosts(let hosts):
                then(.success(self.look { $0.explain(question, hosts, at: $1) }))
            case .never(let reason):
                then(.failure(UnknownHosts(isFinal: true, why: reason.said(of: question.domain))))
            case .later(let why): then(.failure(UnknownHosts(isFinal: false, why: why)))
            }
        }
        switch look({ planner, _ in planner.lookup(of: question.domain) }) {
        case .mail(let domain): resolver.resolve(domain, then: answer)
        case .host(let name, _): resolver.resolve(host: name, then: answer)
        }
    }

    /// Nothing comes of it but the answer.
    func look<Answer: Sendable>(_ question: (inout Planner, Timestamp) -> Answer) -> Answer {
        let now = time.now()
        return state.withLock { question(&$0.planner, now) }
    }

    private var isQuiet: Bool { state.withLock { $0.planner.isQuiet } }

    // MARK: Dispatcher

    package func arrived(_ works: [Work]) -> [Work] {
        perform { planner, now in planner.arrived(works, at: now) }
    }

    package func due(domains: [String], failing: Set<String>) {
        perform { planner, now in planner.due(domains: domains, failing: failing, at: now) }
    }

    package func fetched(domain: String, works: [Work], more: Bool) {
        perform { planner, now in planner.fetched(domain: domain, works: works, more: more, at: now) }
    }

    package func expire(_ keys: [WorkKey]) -> [WorkKey] {
        state.withLock { $0.planner.wired(among: keys) }
    }

    package func recall(_ keys: Set<WorkKey>) -> [WorkKey] {
        perform { planner, now in planner.recall(keys, at: now) }
    }

    package func lift(domains: [String]) {
        perform { planner, now in planner.lift(domains, at: now) }
    }

    package func site(of domain: String) -> SiteNote? {
        let now = time.now()
        return state.withLock { $0.planner.note(of: domain, at: now) }
    }

    /// The names of a pool's sources; nil when there is no such pool.
    package func sources(ofPool name: String) -> Set<String>? {
        state.withLock { $0.planner.table.sources(ofPool: name) }
    }

    // MARK: SessionOwner

    package func opened(_ session: any Session, facts: SessionFacts) {
        let isWanted = state.withLock { state in
            guard state.planner.knows(session.id) else { return false }
            state.sessions[session.id] = session
            return true
        }
        guard isWanted else { return session.close() }
        perform { planner, now in planner.opened(session.id, facts: facts, at: now) }
    }

    package func failed(_ id: SessionID, with answer: PhaseAnswer) {
        perform { planner, now in planner.failed(id, with: answer, at: now) }
    }

    package func finished(_ session: any Session, result: TransactionResult) {
        if !result.reusable { _ = state.withLock { $0.sessions.removeValue(forKey: session.id) } }
        perform { planner, now in planner.finished(session.id, result, at: now) }
    }

    package func closed(_ id: SessionID) {
        perform { planner, now in planner.closed(id, at: now) }
        // Not before: the planner could send on it until it heard.
        _ = state.withLock { $0.sessions.removeValue(forKey: id) }
    }

    // MARK: Hands

    /// One action with the session it is about, looked up while the planner was locked.
    private struct Errand {
        var action: PlannerAction
        var session: (any Session)?
    }

    private func perform<Answer: Sendable>(_ event: (inout Planner, Timestamp) -> Answer) -> Answer {
        let now = time.now()
        let (answer, errands) = state.withLock { state in
            let answer = event(&state.planner, now)
            let errands = state.planner.takeActions().map { action in
                switch action {
                case .send(let id, _): Errand(action: action, session: state.sessions[id])
                case .close(let id): Errand(action: action, session: state.sessions.removeValue(forKey: id))
                default: Errand(action: action, session: nil)
                }
            }
            return (answer, errands)
        }
        run(errands)
        return answer
    }

    private func run(_ errands: [Errand]) {
        // Before the others: what they bring about may be over, and told, on another thread before they return.
        let events = errands.compactMap { if case .trace(let event) = $0.action { event } else { nil } }
        if !events.isEmpty { sink.record(events) }
        for errand in errands {
            switch errand.action {
            case .resolve(let lookup): resolve(lookup)
            case .open(let plan): opener.withLock { $0 }.open(plan, for: self)
            case .send(_, let transaction): errand.session?.send(transaction)
            case .close: errand.session?.close()
            case .settle(let settlements): queue.settle(settlements)
            case .fetch(let domain, let limit): queue.fetch(domain: domain, limit: limit)
            case .postpone(let domain, let until): queue.postpone(domain: domain, until: until)
            case .trace: break
            case .remember(let rows): keeper.withLock { $0 }?.keep(rows)
            case .log(let note): log(note)
            case .hold(let customer, let order, let isNew): holder.withLock { $0 }?(customer, order, isNew)
            }
        }
    }

    private func log(_ note: PlannerNote) {
        let metadata = note.facts.mapValues { Logger.MetadataValue.string($0) }
        logger.log(level: note.level == .error ? .error : .notice, "\(note.text)", metadata: metadata)
    }

    private func resolve(_ lookup: HostQuery) {
        let answer: @Sendable (Resolution) -> Void = { [weak self] resolution in
            self?.perform { planner, now in planner.resolved(lookup, resolution, at: now) }
        }
        switch lookup {
        case .mail(let domain):
            if let known = resolver.cached(domain) {
                answer(known)
            } else {
                resolver.resolve(domain, then: answer)
            }
        case .host(let name, _):
            resolver.resolve(host: name, then: answer)
        }
    }
}
