import Logging
import Mail
import NIOCore

/// The reader thread: answers fetches, names domains with due work, enforces deadlines, watches the disk.
///
/// Deadlines are enforced here, from an index of their own, so that they hold whether or not Delivery makes progress.
final class Reader {
    private let store: any QueueStore
    private let time: any TimeSource
    private let log: Logger
    private let configuration: MailQueue.Configuration
    private let inbox: Inbox
    private let shared: MailQueue.Shared
    private let requests: Requests

    private var nextTick = NIODeadline.uptimeNanoseconds(0)
    private var nextExpiry = NIODeadline.uptimeNanoseconds(0)
    private var expiry: Expiry
    private var sweep = AgendaSweep()
    private var dueDomains: DueDomains

    init(_ parts: MailQueue.Parts, requests: Requests) {
        store = parts.store
        time = parts.time
        log = parts.logger
        configuration = parts.configuration
        inbox = parts.inbox
        shared = parts.shared
        self.requests = requests
        expiry = Expiry(parts.configuration)
        dueDomains = DueDomains(page: parts.configuration.dueDomains)
    }

    func run() {
        while true {
            switch requests.next() {
            case .close:
                return
            case .errand(let errand):
                errand()
            case .fetch(let domain, let limit):
                HandOut(
                    store: store, time: time, inbox: inbox, shared: shared, bytes: configuration.fetchBytes, log: log
                )
                .fetch(domain: domain, limit: limit)
                if NIODeadline.now() >= nextTick { tick() }
            case .nothing:
                let wait = nextTick - .now()
                if wait.nanoseconds > 0 { requests.wait(nanoseconds: wait.nanoseconds) } else { tick() }
            }
        }
    }

    private func tick() {
        nextTick = .now() + configuration.tick.amount
        attempt("disk") { inbox.setDiskShort(try store.freeSpace() < configuration.minimumDiskFree) }
        attempt("agenda sweep") {
            let entries = try sweep.next(store: store, now: .now())
            if !entries.isEmpty { inbox.swept(entries) }
            if sweep.hasMore { tickSoon() }
        }
        attempt("agenda") { try nameDue() }
        guard NIODeadline.now() >= nextExpiry else { return }
        nextExpiry = .now() + configuration.expiryEvery.amount
        attempt("expiry") {
            guard try expiry.run(store: store, dispatcher: shared.dispatcher, inbox: inbox, now: time.now()) else {
                return
            }
            // What was found is ended with the next transaction, which is to be small.
            tickSoon()
            nextExpiry = nextTick
        }
    }

    private func tickSoon() { nextTick = min(nextTick, .now() + configuration.pageEvery.amount) }

    /// Names due domains, and wakes for the next page or the next due time if that is before the next tick.
    private func nameDue() throws {
        let now = time.now()
        let page = try dueDomains.next(store: store, now: now)
        let entries = page.domains.filter { !inbox.isMoving($0.domain) }
        if !entries.isEmpty {
            let failing = entries.lazy.filter(\.postponed).map(\.domain)
            shared.dispatcher?.due(domains: entries.map(\.domain), failing: Set(failing))
        }
        if page.more {
            tickSoon()
        } else if let next = page.next {
            nextTick = min(nextTick, .now() + max(next - now, Timestamp.Span(milliseconds: 1)).amount)
        }
    }

    /// What fails now is tried again at the next tick; the commit thread finds out by itself when the store is broken.
    private func attempt(_ name: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            log.error("reading the store failed", metadata: ["part": "\(name)", "error": "\(error)"])
        }
    }
}

/// Goes through all domains that have waiting rows and has the agenda name those it knows nothing of.
///
/// The agenda leaves out what is handed out, and a crash hands everything back; so this runs once after each start. It
/// runs again every hour, so that no fault in the agenda can leave a message waiting for ever.
struct AgendaSweep {
    private var after: String?
    private var resting = NIODeadline.uptimeNanoseconds(0)

    /// Domains a tick: 5 ms of seeks. A start with 50,000 domains has looked at them all after 25 ticks, which follow
    /// one another as fast as pages of due domains do.
    private static let page = 2_000

    /// In the middle of it.
    var hasMore: Bool { after != nil }

    mutating func next(store: any QueueStore, now: NIODeadline) throws -> [AgendaEntry] {
        guard now >= resting else { return [] }
        let entries = try store.earliest(afterDomain: after, limit: Self.page)
        after = entries.last?.domain
        if entries.count < Self.page {
            after = nil
            resting = now + .hours(1)
        }
        return entries
    }
}
