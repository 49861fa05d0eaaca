import Logging
import Mail

/// Answers one fetch: reads a domain's due rows and hands out those that are not with Delivery, a few of each customer
/// in turn, so that nobody's mail waits behind another's newsletter in the store either.
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
    /// Customers that one fetch looks at, at two seeks each; the next goes on with others.
    private static let customers = 4_096

    private struct Found {
        var works: [Work] = []
        var reading: Ledger.Reading
        /// There are further due works.
        var more = false
        var bytes = 0
        /// Of the lanes that were read to their end, when the next row is due.
        var next = Timestamp.distantFuture
    }

    /// What is asked for, and when.
    private struct Request {
        let domain: String
        let limit: Int
        let now: Timestamp
    }

    func fetch(domain: String, limit: Int) {
        let reading = shared.beginPage(domain)
        do {
            var found = Found(reading: reading)
            try find(Request(domain: domain, limit: limit, now: time.now()), into: &found)
            // The agenda is told first: a row that came into reach meanwhile is then told after it.
            if !found.more { inbox.handedOut(domain, next: found.next) }
            end(domain, found.works.map(\.message.id), found.reading)
            shared.dispatcher?.fetched(domain: domain, works: found.works, more: found.more)
        } catch {
            log.error("fetch failed", metadata: ["domain": "\(domain)", "error": "\(error)"])
            end(domain, [], nil)
            shared.dispatcher?.fetched(domain: domain, works: [], more: false)
        }
    }

    private func end(_ domain: String, _ handedOut: [MessageID], _ reading: Ledger.Reading?) {
        guard let missed = shared.endPage(domain, handedOut: handedOut, reading: reading) else { return }
        inbox.bringForward([AgendaEntry(domain: domain, due: missed)])
    }

    /// Rounds over the customers, each of whom gets an equal share of what room is left, until there is none or nobody
    /// has anything due.
    private func find(_ request: Request, into found: inout Found) throws {
        let lanes = try inTurn(request.domain, after: found.reading.turn)
        if lanes.more { found.more = true }
        var waiting = lanes.customers
        while !waiting.isEmpty {
            var left: [String] = []
            let share = max(1, (request.limit - found.works.count) / waiting.count)
            for (index, customer) in waiting.enumerated() {
                let room = request.limit - found.works.count
                guard room > 0, found.bytes < bytes else {
                    found.more = true
                    // Whom this fetch had no room for comes first in the next.
                    if index > 0 { found.reading.turn = waiting[index - 1] }
                    return
                }
                if try read(customer, upTo: min(share, room), request, into: &found) { left.append(customer) }
            }
            waiting = left
        }
        found.reading.turn = lanes.customers.last
    }

    /// Customers with rows in the domain, beginning after the one who came last, and whether there are others.
    private func inTurn(_ domain: String, after turn: String?) throws -> (customers: [String], more: Bool) {
        let after = try store.customers(domain: domain, after: turn, limit: Self.customers)
        guard let turn, after.count < Self.customers else { return (after, after.count == Self.customers) }
        let before = try store.customers(domain: domain, after: nil, limit: Self.customers - after.count)
        let wrapped = before.prefix { $0 <= turn }
        return (after + wrapped, before.count == Self.customers - after.count && wrapped.count == before.count)
    }

    /// Reads one customer's lane on.
    ///
    /// - Returns: whether more of it may be due.
    private func read(_ customer: String, upTo limit: Int, _ request: Request, into found: inout Found) throws -> Bool {
        let lane = Lane(domain: request.domain, customer: customer)
        let before = found.works.count
        while true {
            let cursor = found.reading.cursors[customer] ?? .start
            let page = try store.positions(lane, after: cursor, dueBy: request.now, limit: Self.page)
            let free = shared.free(page, of: request.domain)
            let wanted = Array(free.prefix(max(0, limit - (found.works.count - before))))
            if !wanted.isEmpty, try !load(wanted, lane, request, into: &found) { return true }
            if free.count > wanted.count { return true }
            if let last = page.last { found.reading.cursors[customer] = last }
            guard page.count < Self.page else { continue }
            let end = found.reading.cursors[customer] ?? .start
            let next = try store.positions(lane, after: end, dueBy: .distantFuture, limit: 1).first?.due
            found.next = min(found.next, next ?? .distantFuture)
            return false
        }
    }

    /// - Returns: false when the octets ran out before all of them were loaded.
    private func load(_ wanted: [Position], _ lane: Lane, _ request: Request, into found: inout Found) throws -> Bool {
        let keys = wanted.map { WorkKey(message: $0.message, domain: lane.domain) }
        let loaded = try store.works(keys, bytes: bytes - found.bytes)
        // What has expired is ended by its deadline, not sent.
        found.works.append(contentsOf: loaded.works.filter { $0.message.expires > request.now })
        found.bytes += loaded.works.reduce(0) { $0 + $1.message.inlineSize }
        if loaded.looked > 0 { found.reading.cursors[lane.customer] = wanted[min(loaded.looked, wanted.count) - 1] }
        return loaded.looked >= wanted.count && found.bytes < bytes
    }
}
