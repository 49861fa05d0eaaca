import DequeModule
import Glibc
import Mail
import NIOCore

/// The thread that resolves: takes requests, runs one ``Inquiry`` for each domain, and tells those who wait.
///
/// Everything in it belongs to that thread once ``start()`` was called.
final class ResolverThread {
    private let context: UnboundContext
    private let cache: ResolvedDomains
    private let requests: LookupRequests
    private let timeout: TimeAmount
    private let limits: (underWay: Int, waiting: Int)

    /// Once a host with an address is known, how long the others may still take: their name servers may be dead, and
    /// the mail can go.
    private static let patience = TimeAmount.seconds(5)
    /// How exactly deadlines are kept.
    private static let tick = TimeAmount.milliseconds(100)

    /// One domain, from the first request for it to its answer.
    private struct Flight {
        var lookup: (any Inquiry)?
        var deadline: NIODeadline
        var tickets: Set<UInt> = []
        var waiting: [@Sendable (Resolution) -> Void]
    }

    private var flights: [String: Flight] = [:]
    /// Domains under way, whose lookup is set.
    private var underWay: Set<String> = []
    /// Domains that wait for their turn, oldest first.
    private var line: Deque<String> = []
    private var asked: [UInt: (domain: String, question: Question)] = [:]
    private var nextTick = NIODeadline.now()

    init(
        context: UnboundContext, configuration: UnboundResolver.Configuration, cache: ResolvedDomains,
        requests: LookupRequests
    ) {
        self.context = context
        self.cache = cache
        self.requests = requests
        timeout = .milliseconds(max(1, min(configuration.timeout.milliseconds, 600_000)))
        limits = (max(1, configuration.lookupsUnderWay), max(0, configuration.lookupsWaiting))
    }

    /// False when the machine does not give a thread.
    func start() -> Bool {
        guard requests.descriptor >= 0 else { return false }
        let box = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { box in
                guard let box else { return nil }
                Unmanaged<ResolverThread>.fromOpaque(box).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private func run() {
        while true {
            let (fresh, open) = requests.take()
            for request in fresh { board(request) }
            for (ticket, answer) in context.process() { deliver(answer, ticket) }
            let now = NIODeadline.now()
            if now >= nextTick {
                expire(now)
                nextTick = now + Self.tick
            }
            startWaiting()
            guard open else { break }
            sleep()
        }
        for domain in Array(flights.keys) { land(domain, .failure("the resolver is closed"), keep: false) }
    }

    /// Until a request, an answer or the next look at deadlines.
    private func sleep() {
        var waits = [
            pollfd(fd: context.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: requests.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let wait = flights.isEmpty ? -1 : Int32(Self.tick.nanoseconds / 1_000_000)
        _ = poll(&waits, 2, wait)
    }

    // MARK: A flight's way

    private func board(_ request: LookupRequests.Request) {
        let domain = request.domain
        if flights[domain] != nil {
            flights[domain]?.waiting.append(request.then)
            return
        }
        let now = NIODeadline.now()
        if let known = cache.find(domain, at: now) {
            request.then(known)
            return
        }
        flights[domain] = Flight(deadline: now + timeout, waiting: [request.then])
        guard flights.count <= limits.underWay + limits.waiting else {
            land(domain, .failure("too many domains are being resolved"), keep: false)
            return
        }
        line.append(domain)
    }

    private func startWaiting() {
        while underWay.count < limits.underWay, let domain = line.popFirst() {
            if let literal = HostSet(literal: domain) {
                land(domain, HostLookup.Resolved(.hosts(literal), lifetime: HostLookup.lifetimes.upperBound))
            } else if let lookup = InquiryKey.inquiry(domain) {
                flights[domain]?.lookup = lookup
                underWay.insert(domain)
                step(lookup.start(), domain)
            } else {
                land(domain, HostLookup.Resolved(.never(.noSuchDomain), lifetime: HostLookup.longestNo))
            }
        }
    }

    private func deliver(_ answer: Lookup, _ ticket: UInt) {
        guard let (domain, question) = asked.removeValue(forKey: ticket) else { return }
        flights[domain]?.tickets.remove(ticket)
        guard let next = flights[domain]?.lookup?.received(answer, to: question) else { return }
        step(next, domain)
        if let flight = flights[domain], flight.lookup?.hasUsableHost == true {
            flights[domain]?.deadline = min(flight.deadline, .now() + Self.patience)
        }
    }

    private func step(_ step: HostLookup.Step, _ domain: String) {
        switch step {
        case .wait: return
        case .done(let resolved): land(domain, resolved)
        case .ask(let questions):
            for question in questions {
                if let ticket = context.ask(question) {
                    asked[ticket] = (domain, question)
                    flights[domain]?.tickets.insert(ticket)
                } else if let next = flights[domain]?.lookup?.received(.failed("not asked"), to: question) {
                    self.step(next, domain)
                }
            }
        }
    }

    private func expire(_ now: NIODeadline) {
        for domain in underWay {
            guard let flight = flights[domain], flight.deadline <= now, let lookup = flight.lookup else { continue }
            land(domain, lookup.outOfTime())
        }
        while let first = line.first, let flight = flights[first], flight.deadline <= now {
            line.removeFirst()
            land(first, .failure("resolving did not get its turn in time"), keep: false)
        }
    }

    private func land(_ domain: String, _ resolved: HostLookup.Resolved, keep: Bool = true) {
        guard let flight = flights.removeValue(forKey: domain) else { return }
        underWay.remove(domain)
        for ticket in flight.tickets {
            asked[ticket] = nil
            context.cancel(ticket)
        }
        if keep { cache.keep(resolved, for: domain, at: .now()) }
        for then in flight.waiting { then(resolved.resolution) }
    }
}
