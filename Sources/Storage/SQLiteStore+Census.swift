package import Mail
package import Queue

// Counting for those who watch.
extension SQLiteStore {
    package func census(
        from place: CensusPlace, limit: Int, dueBy now: Timestamp, ages: [MessageID]
    ) throws -> CensusPage {
        try viewer().run { access in
            switch place {
            case .free(let lane, let position):
                let statement = try access.statement(SQL.censusFree).bind(1, lane.domain).bind(2, lane.customer)
                    .bind(3, position.due).bind(4, position.message).bind(5, Int64(limit))
                return try Self.free(statement, limit, now, ages)
            case .held(let key):
                let statement = try access.statement(SQL.censusHeld).bind(1, key.message).bind(2, key.domain)
                    .bind(3, Int64(limit))
                return try Self.held(statement, limit, ages)
            case .relay(let until, let key):
                let statement = try access.statement(SQL.censusRelays).bind(1, until).bind(2, key.message)
                    .bind(3, key.domain).bind(4, Int64(limit))
                return try Self.atRelays(statement, limit)
            }
        }
    }

    /// Rows of a domain stand together: its name is read once.
    private static func free(
        _ statement: Prepared, _ limit: Int, _ now: Timestamp, _ ages: [MessageID]
    ) throws -> CensusPage {
        var page = CensusPage()
        var domain: String?
        var counts = CensusCounts()
        var looked = 0
        try statement.rows { row in
            looked += 1
            if let known = domain, !row.isText(0, known) {
                page.counts[known, default: CensusCounts()] = counts
                counts = CensusCounts()
                domain = nil
            }
            if domain == nil { domain = row.text(0) }
            let age = CensusCounts.age(of: row.id(3), among: ages)
            if row.time(2) <= now { counts.due[age] += 1 } else { counts.waiting[age] += 1 }
            if looked == limit {
                page.next = .free(
                    Lane(domain: row.text(0), customer: row.text(1)),
                    after: Position(due: row.time(2), message: row.id(3)))
            }
            return true
        }
        if let domain { page.counts[domain] = counts }
        if looked < limit { page.next = .heldStart }
        return page
    }

    private static func held(_ statement: Prepared, _ limit: Int, _ ages: [MessageID]) throws -> CensusPage {
        var page = CensusPage()
        var looked = 0
        try statement.rows { row in
            looked += 1
            let (message, domain) = (row.id(0), row.text(1))
            page.counts[domain, default: CensusCounts()].held[CensusCounts.age(of: message, among: ages)] += 1
            if looked == limit { page.next = .held(after: WorkKey(message: message, domain: domain)) }
            return true
        }
        if looked < limit { page.next = .relayStart }
        return page
    }

    /// A row that cannot be read is counted nowhere; it is told about where it is handed out.
    private static func atRelays(_ statement: Prepared, _ limit: Int) throws -> CensusPage {
        var page = CensusPage()
        var looked = 0
        try statement.rows { row in
            looked += 1
            var packed = row.unpacker(3)
            if let relay = try? packed.progress(due: row.time(0)).relay {
                page.relays[relay.name, default: RelayBacklog()].add(RelayBacklog(relay))
            }
            if looked == limit {
                page.next = .relay(after: row.time(0), WorkKey(message: row.id(1), domain: row.text(2)))
            }
            return true
        }
        return page
    }
}
