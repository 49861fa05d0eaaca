import Console
import Delivery
import Filtering
import Glibc
import Intake
import Mail
import Queue
import Storage

/// What `/metrics`, `/health` and `/ready` say of a running relay.
struct MetricsPage: Sendable {
    let queue: MailQueue
    let engine: DeliveryEngine
    let intake: IntakeServer
    let meter: Meter
    let syncs: SyncFigures
    let settings: RunningSettings
    let census: QueueCensus
    let filters: FilterTier

    /// Blocks: the counts of the queue come from the store.
    func text() -> String {
        var page = Exposition()
        messages(&page)
        waiting(&page)
        works(&page)
        commits(&page)
        delivery(&page)
        relays(&page)
        filters.filter?.figures.write(to: &page)
        page.family("figaro_sessions", .gauge, "SMTP sessions of customers that are connected.")
        page.sample("figaro_sessions", intake.sessionCount)
        process(&page)
        return page.text
    }

    /// Why mail is not taken at this moment; nil when it is.
    func refusal() -> String? {
        switch queue.admission() {
        case .open: nil
        case .busy: "busy: more is being accepted than can be kept up with"
        case .diskShort: "the disk is short of space"
        case .broken: "the store has failed and is recovering"
        case .closing: "going down"
        }
    }

    /// What a restart or a person has to mend; being busy is neither.
    func trouble() -> String? {
        switch queue.admission() {
        case .diskShort, .broken: refusal()
        case .open, .busy, .closing: nil
        }
    }

    private func messages(_ page: inout Exposition) {
        let counts = meter.counts
        page.family("figaro_accepted_messages_total", .counter, "Messages committed and answered with 250.")
        for (customer, count) in counts.messages.sorted(by: { $0.key < $1.key }) {
            page.sample("figaro_accepted_messages_total", count, ["customer": customer])
        }
        page.family("figaro_accepted_bytes_total", .counter, "Their size.")
        for (customer, count) in counts.octets.sorted(by: { $0.key < $1.key }) {
            page.sample("figaro_accepted_bytes_total", count, ["customer": customer])
        }
        page.family(
            "figaro_attempts_total", .counter,
            "Attempts by receiver, what was decided after them, and the cause that the receiver's reply was read as.")
        for (attempt, count) in counts.attempts.sorted(by: { Self.order($0.key, $1.key) }) {
            page.sample(
                "figaro_attempts_total", count,
                ["site": attempt.site, "decision": attempt.decision, "cause": attempt.cause])
        }
        page.family(
            "figaro_site_recipients_total", .counter,
            "Recipients by receiver and what became of them after an attempt; deferred ones are counted each time.")
        for (outcome, count) in counts.outcomes.sorted(by: {
            ($0.key.site, $0.key.kind.rawValue) < ($1.key.site, $1.key.kind.rawValue)
        }) {
            page.sample(
                "figaro_site_recipients_total", count, ["site": outcome.site, "outcome": outcome.kind.rawValue])
        }
        page.family("figaro_ended_recipients_total", .counter, "Recipients that reached their end, by its kind.")
        for end in [RecipientEnd.delivered, .relayed, .failed, .expired, .deleted] {
            page.sample("figaro_ended_recipients_total", counts.ends[end, default: 0], ["end": "\(end)"])
        }
        page.family("figaro_notices_total", .counter, "Notices to senders, by what they are about.")
        for kind in NoticeKind.allCases {
            page.sample("figaro_notices_total", counts.notices[kind, default: 0], ["kind": kind.rawValue])
        }
    }

    private static func order(_ left: Meter.Attempt, _ right: Meter.Attempt) -> Bool {
        (left.site, left.decision, left.cause) < (right.site, right.decision, right.cause)
    }

    private func waiting(_ page: inout Exposition) {
        guard let counts = try? queue.counts() else { return }
        page.single("figaro_queue_messages", .gauge, "Messages in the store.", counts.messages)
        page.single(
            "figaro_queue_deferred_works", .gauge,
            "Work that waits in the store, held or for its time: a message and one of its domains.",
            counts.waiting + counts.held)
        page.single(
            "figaro_queue_untold_recipients", .gauge, "Recipients whose sender is still to be told.", counts.untold)
        page.single("figaro_queue_domains", .gauge, "Recipient domains with work in the store.", counts.domains)
    }

    /// Counted a piece at a time, so that a deep queue costs a scrape no more than a flat one.
    private func works(_ page: inout Exposition) {
        guard let figures = try? census.figures(), figures.at != nil else { return }
        page.family(
            "figaro_queue_works", .gauge,
            "Work in the store by receiver (those with most of it), state, and age of the message: above `age`. What "
                + "is in flight is due.")
        let sites = figures.sites.map { ($0.name, $0.counts) } + [(Meter.otherSites, figures.others)]
        for (site, counts) in sites {
            for (state, ages) in [("waiting", counts.waiting), ("due", counts.due), ("held", counts.held)] {
                for (age, count) in zip(Self.ages, ages) where count > 0 {
                    page.sample("figaro_queue_works", count, ["site": site, "state": state, "age": age])
                }
            }
        }
    }

    /// What a message's age is above.
    private static let ages = ["0s"] + QueueCensus.ages.map { Units.text($0) }

    private func commits(_ page: inout Exposition) {
        let figures = queue.commitFigures
        page.histogram(
            "figaro_commit_seconds", "Transactions with their fsync.", bounds: CommitFigures.bounds,
            counts: figures.counts, sum: figures.sum)
        page.single(
            "figaro_committed_messages_total", .counter, "Messages made durable; divided by the commits, a batch.",
            figures.messages)
        page.family("figaro_syncs_total", .counter, "What the disk was asked to make durable, by what it was.")
        page.sample("figaro_syncs_total", figures.counts.reduce(0, +), ["kind": "commit"])
        for kind in SyncFigures.Kind.allCases {
            page.sample("figaro_syncs_total", syncs.count(kind), ["kind": "\(kind)"])
        }
        page.single("figaro_commit_failures_total", .counter, "Transactions that failed.", figures.failures)
    }

    private func delivery(_ page: inout Exposition) {
        let figures = engine.figures()
        page.family("figaro_delivery_sessions", .gauge, "SMTP sessions to receivers.")
        page.sample("figaro_delivery_sessions", figures.busy, ["state": "busy"])
        page.sample("figaro_delivery_sessions", figures.idle, ["state": "idle"])
        page.sample("figaro_delivery_sessions", figures.opening, ["state": "opening"])
        page.single("figaro_delivery_works", .gauge, "Work in memory: a message and one of its domains.", figures.works)
        page.single("figaro_sites", .gauge, "Receivers known at this moment.", figures.sites)
        page.single(
            "figaro_sites_blocked", .gauge, "Receivers that may not be sent to at this moment.", figures.blockedSites)
        page.family("figaro_sources", .gauge, "Source addresses of all pools.")
        let held = figures.heldSources.values.reduce(0, +)
        page.sample("figaro_sources", figures.sources - figures.unboundSources - held, ["state": "usable"])
        var off = [SourceState.unbound: figures.unboundSources]
        for state in settings.current.ipmap.sources.lazy.map(\.state) where !state.maySend {
            off[state, default: 0] += 1
        }
        for (kind, count) in figures.heldSources { off[SourceState(kind), default: 0] += count }
        for state in SourceState.allCases where !state.maySend {
            page.sample("figaro_sources", off[state, default: 0], ["state": state.rawValue])
        }
        page.family(
            "figaro_paths_cooling", .gauge,
            "Pairs of source and receiver that rest after a refusal, by what it was taken for.")
        for cause in [Cause.source, .range] {
            page.sample("figaro_paths_cooling", figures.coolingPaths[cause, default: 0], ["cause": cause.rawValue])
        }
        page.single(
            "figaro_range_breakers_open", .gauge, "Ranges that a receiver turned away, each counted at each.",
            figures.openBreakers)
        page.single("figaro_sites_suspended", .gauge, "Receivers that operators keep from mail.", figures.suspensions)
        page.single("figaro_customers_held", .gauge, "Customers whose mail is held.", figures.heldCustomers)
    }

    private func relays(_ page: inout Exposition) {
        let backlogs = (try? census.figures())?.relays ?? [:]
        let relays = RelayStanding.all(engine.figures().relays, backlogs, at: SystemTime().now())
        guard !relays.isEmpty else { return }
        page.family(
            "figaro_relay_works", .gauge,
            "Work that waits for a relay (a message and one of its domains), counted anew every 15 s.")
        for relay in relays { page.sample("figaro_relay_works", relay.works, ["relay": relay.name]) }
        page.family(
            "figaro_relay_oldest_seconds", .gauge,
            "How long the first of it has waited for the relay, looked up every 15 s.")
        for relay in relays { page.sample("figaro_relay_oldest_seconds", relay.oldestSeconds, ["relay": relay.name]) }
        page.family("figaro_relay_resting", .gauge, "Whether the relay does not answer or does not let us in: 1 or 0.")
        for relay in relays { page.sample("figaro_relay_resting", relay.blocked == nil ? 0 : 1, ["relay": relay.name]) }
    }

    /// Under the names that every exporter gives them.
    private func process(_ page: inout Exposition) {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return }
        let seconds =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        page.family("process_cpu_seconds_total", .counter, "CPU time of the process.")
        page.sample("process_cpu_seconds_total", seconds: seconds)
        guard let memory = ProcessMemory.resident else { return }
        page.single("process_resident_memory_bytes", .gauge, "Memory of the process.", memory)
    }
}
