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
    private var lastNamed: Set<String> = []
    /// More domains are due than were named.
    private var hasMore = false

    private static let soon = TimeAmount.milliseconds(100)

    init(_ parts: MailQueue.Parts, requests: Requests) {
        store = parts.store
        time = parts.time
        log = parts.logger
        configuration = parts.configuration
        inbox = parts.inbox
        shared = parts.shared
        self.requests = requests
        expiry = Expiry(grace: parts.configuration.expiryGrace)
    }

    func run() {
        while true {
            switch requests.next() {
            case .close:
                return
            case .fetch(let domain, let limit):
                HandOut(
                    store: store, time: time, inbox: inbox, shared: shared, bytes: configuration.fetchBytes, log: log
                )
                .fetch(domain: domain, limit: limit)
                if hasMore { nextTick = min(nextTick, .now() + Self.soon) }
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
        }
        attempt("agenda") { try nameDue() }
        guard NIODeadline.now() >= nextExpiry else { return }
        nextExpiry = .now() + configuration.expiryEvery.amount
        attempt("expiry") {
            try expiry.run(store: store, dispatcher: shared.dispatcher, inbox: inbox, now: time.now())
        }
    }

    /// Names due domains, and wakes at the next due time if that is before the next tick.
    private func nameDue() throws {
        let now = time.now()
        let page = try store.agenda(dueBy: now, limit: configuration.dueDomains)
        let domains = page.due.map(\.domain).filter { !inbox.isMoving($0) }
        let known = domains.count { lastNamed.contains($0) }
        if !domains.isEmpty {
            lastNamed = Set(domains)
            shared.dispatcher?.due(domains: domains)
        }
        hasMore = page.due.count == configuration.dueDomains
        if hasMore {
            // After a long stop fifty thousand domains are due at once: name them as fast as Delivery takes them.
            if known * 2 <= domains.count { nextTick = min(nextTick, .now() + Self.soon) }
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

    /// Domains a tick: 5 ms of seeks. A start with 50,000 domains has named them all after 25 ticks.
    private static let page = 2_000

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
