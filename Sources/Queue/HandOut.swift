import Logging
import Mail

/// Answers one fetch: reads a domain's due rows from its cursor on and hands out those that are not with Delivery.
struct HandOut {
    let store: any QueueStore
    let time: any TimeSource
    let inbox: Inbox
    let shared: MailQueue.Shared
    /// Octets of content that one fetch loads.
    let bytes: Int
    let log: Logger

    /// Rows that are read at a time to find those that are free.
    private static let page = 256

    private struct Found {
        var works: [Work] = []
        var cursor: Position
        /// There are further due works.
        var more = false
        var bytes = 0
    }

    func fetch(domain: String, limit: Int) {
        let start = shared.beginPage(domain)
        let now = time.now()
        do {
            let found = try find(domain: domain, limit: limit, from: start, now: now)
            let next = try found.more ? nil : nextDue(domain, after: found.cursor)
            // The agenda is told first: a row that came into reach meanwhile is then told after it.
            if let next { inbox.handedOut(domain, next: next) }
            end(domain, found.works.map(\.message.id), found.cursor)
            shared.dispatcher?.fetched(domain: domain, works: found.works, more: found.more)
        } catch {
            log.error("fetch failed", metadata: ["domain": "\(domain)", "error": "\(error)"])
            end(domain, [], nil)
            shared.dispatcher?.fetched(domain: domain, works: [], more: false)
        }
    }

    private func end(_ domain: String, _ handedOut: [MessageID], _ cursor: Position?) {
        guard let missed = shared.endPage(domain, handedOut: handedOut, cursor: cursor) else { return }
        inbox.bringForward([AgendaEntry(domain: domain, due: missed)])
    }

    private func find(domain: String, limit: Int, from start: Position, now: Timestamp) throws -> Found {
        var found = Found(cursor: start)
        while true {
            let page = try store.positions(domain: domain, after: found.cursor, dueBy: now, limit: Self.page)
            let free = shared.free(page, of: domain)
            let wanted = free.prefix(max(0, limit - found.works.count))
            if !wanted.isEmpty, try !load(Array(wanted), domain: domain, now: now, into: &found) { return found }
            if free.count > wanted.count {
                found.more = true
                return found
            }
            if let last = page.last { found.cursor = last }
            if page.count < Self.page { return found }
        }
    }

    /// - Returns: false when the octets ran out before all of them were loaded.
    private func load(_ wanted: [Position], domain: String, now: Timestamp, into found: inout Found) throws -> Bool {
        let keys = wanted.map { WorkKey(message: $0.message, domain: domain) }
        let loaded = try store.works(keys, bytes: bytes - found.bytes)
        // What has expired is ended by its deadline, not sent.
        found.works.append(contentsOf: loaded.works.filter { $0.message.expires > now })
        found.bytes += loaded.works.reduce(0) { $0 + $1.message.inlineSize }
        if loaded.looked > 0 { found.cursor = wanted[min(loaded.looked, wanted.count) - 1] }
        guard loaded.looked < wanted.count || found.bytes >= bytes else { return true }
        found.more = true
        return false
    }

    private func nextDue(_ domain: String, after cursor: Position) throws -> Timestamp {
        try store.positions(domain: domain, after: cursor, dueBy: .distantFuture, limit: 1).first?.due ?? .distantFuture
    }
}
