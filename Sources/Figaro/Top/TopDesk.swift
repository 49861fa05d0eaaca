import Delivery
import Dispatch
import Filtering
import Foundation
import Intake
import Mail
import Queue

/// Tells again and again what the relay did since it last told, until nobody reads.
struct TopDesk: Sendable {
    let page: MetricsPage

    /// Of each kind in a report.
    static let rows = 50
    /// Between two looks at whether somebody still reads.
    private static let patience = 0.2

    func answer(_ request: TopRequest, _ caller: ControlCaller) -> ControlEnd {
        guard TopRequest.intervals.contains(request.interval) else {
            return ControlEnd(error: "the interval is from 0.2 to 60 seconds")
        }
        var left = request.count ?? .max
        var last = Sample(page)
        while left > 0 {
            guard wait(Double(request.interval) / 1_000, caller) else { return ControlEnd() }
            let next = Sample(page)
            guard caller.send(TopReport(from: last, to: next, page)) else { return ControlEnd() }
            last = next
            left -= 1
        }
        return ControlEnd()
    }

    private func wait(_ seconds: Double, _ caller: ControlCaller) -> Bool {
        let end = DispatchTime.now() + seconds
        while true {
            let now = DispatchTime.now()
            guard now < end else { return true }
            guard caller.isThere() else { return false }
            let left = Double(end.uptimeNanoseconds - now.uptimeNanoseconds) / 1e9
            Thread.sleep(forTimeInterval: min(left, Self.patience))
        }
    }
}

extension TopDesk {
    /// All that is counted, at one moment.
    struct Sample {
        let at = DispatchTime.now()
        let counts: Meter.Counts
        let commits: CommitFigures.Snapshot
        let sources: [KnownSource]
        let filter: FilterFigures?

        init(_ page: MetricsPage) {
            counts = page.meter.counts
            commits = page.queue.commitFigures
            sources = page.engine.sources()
            filter = page.filters.filter?.figures
        }
    }
}

extension TopReport {
    init(from last: TopDesk.Sample, to next: TopDesk.Sample, _ page: MetricsPage) {
        let span = max(0.001, Double(next.at.uptimeNanoseconds - last.at.uptimeNanoseconds) / 1e9)
        let since = Since(last: last.counts, next: next.counts, span: span)
        let now = SystemTime().now()
        let figures = page.engine.figures()
        let held = figures.heldSources.values.reduce(0, +)
        let counts = try? page.queue.counts()
        let oldest = (try? page.queue.list(QueueFilter(limit: 1)))?.entries.first?.message.arrived
        let commits = next.commits.counts.reduce(0, +) - last.commits.counts.reduce(0, +)
        self.init(
            time: UTCTime.text(now), seconds: span, accepted: since.total(\.messages), octets: since.total(\.octets),
            delivered: since.ends(.delivered), deferred: since.outcomes(.deferred), failed: since.failed,
            sites: Self.sites(since, page.engine.sites()), sources: Self.sources(last.sources, next.sources, span),
            refusals: since.refusals, relays: Self.relays(figures.relays, page, now),
            filter: next.filter.map { Filter(from: last.filter, to: $0, span) }, queueMessages: counts?.messages,
            inFlight: figures.works,
            waiting: counts?.waiting, held: counts?.held, oldest: oldest.map { UTCTime.text($0) },
            oldestSeconds: oldest.map { Int(max(0, (now - $0).milliseconds) / 1_000) },
            sessionsIn: page.intake.sessionCount, busy: figures.busy, idle: figures.idle, opening: figures.opening,
            blockedSites: figures.blockedSites, heldCustomers: figures.heldCustomers,
            sourcesUsable: figures.sources - figures.unboundSources - held,
            sourcesOff: figures.unboundSources + held, memory: ProcessMemory.resident,
            commits: Double(commits) / span,
            commitMilliseconds: commits > 0 ? (next.commits.sum - last.commits.sum) * 1_000 / Double(commits) : nil,
            refusing: page.refusal())
    }

    private static func sites(_ since: Since, _ known: [SiteState]) -> [Site] {
        var sites: [String: Site] = [:]
        for state in known {
            let open = state.busy + state.idle + state.opening
            guard open > 0 || state.waiting > 0 || state.block != nil else { continue }
            var site = sites[state.name] ?? Site(named: state.name)
            site.sessions += open
            site.waiting += state.waiting
            site.blocked = site.blocked ?? state.block?.why
            sites[state.name] = site
        }
        for (name, rates) in since.sites {
            var site = sites[name] ?? Site(named: name)
            site.delivered = rates[.delivered] ?? 0
            site.deferred = rates[.deferred] ?? 0
            site.failed = rates[.failed] ?? 0
            sites[name] = site
        }
        return Array(sites.values.sorted(by: isBusier).prefix(TopDesk.rows))
    }

    private static func relays(
        _ blocks: [String: String?], _ page: MetricsPage, _ now: Timestamp
    ) -> [RelayStanding]? {
        let all = RelayStanding.all(blocks, (try? page.census.figures())?.relays ?? [:], at: now)
        return all.isEmpty ? nil : Array(all.prefix(TopDesk.rows))
    }

    private static func isBusier(_ left: Site, _ right: Site) -> Bool {
        if left.rate != right.rate { return left.rate > right.rate }
        return left.sessions == right.sessions ? left.name < right.name : left.sessions > right.sessions
    }

    private static func sources(_ last: [KnownSource], _ next: [KnownSource], _ span: Double) -> [Source] {
        let before = Dictionary(last.map { ($0.source, $0.tally) }, uniquingKeysWith: { first, _ in first })
        let active = next.compactMap { known -> Source? in
            let old = before[known.source]
            let delivered = max(0, known.tally.delivered - (old?.delivered ?? 0))
            let refused = max(0, known.tally.refused - (old?.refused ?? 0))
            guard delivered + refused + known.tally.sessions > 0 else { return nil }
            let cooling = known.cooling.values.reduce(0, +)
            return Source(
                name: known.source.name, address: known.source.address.description,
                delivered: Double(delivered) / span, refused: Double(refused) / span, sessions: known.tally.sessions,
                state: known.hold?.kind.rawValue
                    ?? (known.unbound != nil ? "unbound" : cooling > 0 ? "cooling \(cooling)" : "active"))
        }
        return Array(active.sorted(by: isBusier).prefix(TopDesk.rows))
    }

    private static func isBusier(_ left: Source, _ right: Source) -> Bool {
        let (first, second) = (left.delivered + left.refused, right.delivered + right.refused)
        return first == second ? left.name < right.name : first > second
    }
}

extension TopReport.Filter {
    /// A filter with new settings begins to count anew.
    fileprivate init(from last: FilterFigures?, to next: FilterFigures, _ span: Double) {
        let before = last.flatMap { $0.checked <= next.checked ? $0 : nil }
        self.init(
            checked: Double(next.checked - (before?.checked ?? 0)) / span,
            unavailable: Double(max(0, next.unavailable - (before?.unavailable ?? 0))) / span,
            nodes: next.nodes.count, nodesAside: next.nodes.count { $0.isAside })
    }
}

/// What the counts say of the time between two of them.
private struct Since {
    let last: Meter.Counts
    let next: Meter.Counts
    let span: Double

    func total(_ counts: (Meter.Counts) -> [String: Int]) -> Double {
        rate(counts(next).values.reduce(0, +) - counts(last).values.reduce(0, +))
    }

    func ends(_ end: RecipientEnd) -> Double { rate(next.ends[end, default: 0] - last.ends[end, default: 0]) }

    var failed: Double { ends(.failed) + ends(.expired) }

    func outcomes(_ kind: Meter.Outcome.Kind) -> Double { sites.values.reduce(0) { $0 + ($1[kind] ?? 0) } }

    /// Recipients a second, of those sites alone where there were any.
    var sites: [String: [Meter.Outcome.Kind: Double]] {
        var sites: [String: [Meter.Outcome.Kind: Double]] = [:]
        for (outcome, count) in next.outcomes {
            let rate = rate(count - last.outcomes[outcome, default: 0])
            if rate > 0 { sites[outcome.site, default: [:]][outcome.kind] = rate }
        }
        return sites
    }

    var refusals: [TopReport.Refusal] {
        var causes: [String: Int] = [:]
        for (attempt, count) in next.attempts where !attempt.cause.isEmpty {
            causes[attempt.cause, default: 0] += max(0, count - last.attempts[attempt, default: 0])
        }
        return causes.filter { $0.value > 0 }.map { TopReport.Refusal(cause: $0.key, rate: rate($0.value)) }
            .sorted { ($1.rate, $0.cause) < ($0.rate, $1.cause) }
    }

    /// A name that gave way to another takes its counts along: less than nothing is nothing.
    private func rate(_ count: Int) -> Double { Double(max(0, count)) / span }
}

extension TopReport.Site {
    fileprivate init(named name: String) {
        self.init(name: name, delivered: 0, deferred: 0, failed: 0, sessions: 0, waiting: 0)
    }

    fileprivate var rate: Double { delivered + deferred + failed }
}
