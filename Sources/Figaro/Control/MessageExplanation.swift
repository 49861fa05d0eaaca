import Delivery
import Mail
import Queue

/// What is known of one message and what becomes of it, as it goes over the control socket.
struct MessageExplanation: Codable, Sendable, Hashable {
    /// One attempt, what it was taken for, and what was decided.
    struct Decision: Codable, Sendable, Hashable {
        var time: String
        var recipients: [String]
        var source: String?
        var sourceAddress: String?
        /// How the source came to be this one.
        var sourceWhy: String?
        var host: String?
        var phase: String
        /// The receiver's words, or what happened instead of words.
        var said: String
        var cause: String?
        var rule: String?
        /// File and line of the rule, or what read the reply where no rule of the file did.
        var rulePlace: String?
        var decision: String
        var why: String?
        var next: String?
    }

    /// What waits for one recipient domain.
    struct Part: Codable, Sendable, Hashable {
        var domain: String
        var recipients: [String]
        var state: String
        /// Rounds of the schedule that were used.
        var rounds: Int
        /// What happens next, in words, and when.
        var next: String
        var nextAt: String?
        /// When it fails unless it has been delivered; nil while it is held, as time stands still for it.
        var deadline: String?
        var held: QueueReport.Held?
        var tried: [String]
        var pinned: String?
        var firstRefusal: String?
        /// At the relay of its route since, until, and why.
        var relay: String?
        /// Route, receiver and sources; nil for those of many domains that were not asked about.
        var way: ExplainReport?
    }

    /// Recipients that have ended.
    struct End: Codable, Sendable, Hashable {
        var time: String
        var recipients: [String]
        var how: String
        var reason: String?
    }

    var id: String
    var customer: String?
    var sender: String?
    var size: Int?
    var arrived: String?
    var decisions: [Decision]
    var parts: [Part]
    var ends: [End]
    /// What senders were told of it, one line each.
    var notices: [String]
    /// What an operator did about it, one line each.
    var orders: [String]
    /// Recipients whose sender is still to be told.
    var untold: [String]
    /// What the filter said of it, in lines.
    var filter: [String]?
}

extension MessageExplanation {
    /// - Parameter rules: where each rule stands, by its id.
    init(_ id: MessageID, _ entry: QueueEntry?, _ events: [TraceEvent], rules: [String: String], at now: Timestamp) {
        self.id = id.description
        customer = entry?.message.customer
        sender = entry?.message.sender.description
        size = entry?.message.size
        arrived = entry.map { UTCTime.text($0.message.arrived) }
        parts = (entry?.works ?? []).map { Part($0, of: entry?.message, at: now) }
        untold = (entry?.untold ?? []).map { "\($0.recipient)" }
        decisions = []
        ends = []
        notices = []
        orders = []
        var before: [TraceEvent.Attempt] = []
        for event in events {
            switch event {
            case .accepted(let accepted):
                customer = accepted.customer
                sender = accepted.sender.description
                size = accepted.size
                arrived = UTCTime.text(accepted.at)
                filter = accepted.screening?.lines
            case .attempted(let attempt):
                decisions.append(Decision(attempt, after: before, rules))
                before.append(attempt)
                if ["delivered", "relayed"].contains(attempt.decision) { ends.append(End(delivered: attempt)) }
            case .ended(let end): ends.append(End(end))
            case .notified, .steered:
                let line = TraceReport(event).lines.joined(separator: " ")
                let words = line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
                if case .steered = event { orders.append(words) } else { notices.append(words) }
            }
        }
    }
}

extension MessageExplanation.End {
    fileprivate init(_ end: TraceEvent.End) {
        self.init(
            time: UTCTime.text(end.at), recipients: end.recipients.map(\.description), how: end.how.name,
            reason: end.reason)
    }

    fileprivate init(delivered attempt: TraceEvent.Attempt) {
        let host = attempt.host.map { " by \($0)" } ?? ""
        self.init(
            time: UTCTime.text(attempt.at), recipients: attempt.recipients.map(\.description),
            how: attempt.decision, reason: "accepted\(host)")
    }
}

extension MessageExplanation.Decision {
    fileprivate init(
        _ attempt: TraceEvent.Attempt, after before: [TraceEvent.Attempt], _ rules: [String: String]
    ) {
        self.init(
            time: UTCTime.text(attempt.at), recipients: attempt.recipients.map(\.description), source: attempt.source,
            sourceAddress: attempt.sourceAddress?.description, sourceWhy: Self.why(attempt, after: before),
            host: attempt.host, phase: attempt.phase.description,
            said: attempt.reply?.description ?? attempt.trouble ?? "no answer", cause: attempt.cause?.rawValue,
            rule: attempt.rule, rulePlace: attempt.rule.map { Self.place(of: $0, rules) },
            decision: attempt.decision, why: attempt.why.isEmpty ? nil : attempt.why,
            next: attempt.next.map { UTCTime.text($0) })
    }

    private static func place(of rule: String, _ rules: [String: String]) -> String {
        if let place = rules[rule] { return place.isEmpty ? "of no file" : place }
        return rule.hasPrefix("base") ? "built in: what codes and general words mean" : "no longer in the rules"
    }

    /// Of what came before it for the same recipients.
    private static func why(_ attempt: TraceEvent.Attempt, after before: [TraceEvent.Attempt]) -> String? {
        guard let source = attempt.source else { return nil }
        let recipients = Set(attempt.recipients)
        let own = before.filter { !recipients.isDisjoint(with: $0.recipients) && $0.source != nil }
        if let last = own.last, last.source == source {
            return last.decision == "later"
                ? "the one of the attempt before, which its answer asked for or was not about"
                : "the one of the attempt before, on another host"
        }
        let refused = own.filter { $0.decision == "another source" || $0.cause == .source || $0.cause == .range }
        let names = refused.compactMap(\.source).reduce(into: [String]()) { names, name in
            if !names.contains(name) { names.append(name) }
        }
        guard !names.isEmpty else { return "drawn at random among the free sources of its pool" }
        let shown = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " …" : "")
        return "drawn at random among the free sources far from those that were refused: \(shown)"
    }
}

extension MessageExplanation.Part {
    fileprivate init(_ work: QueueEntry.Part, of message: QueuedMessage?, at now: Timestamp) {
        let progress = work.progress
        self.init(
            domain: work.domain, recipients: work.recipients.map(\.description), state: work.state.shown,
            rounds: progress.rounds, next: "",
            deadline: message.map {
                UTCTime.text(min($0.expires, progress.relay?.until ?? $0.expires))
            },
            held: work.hold.map {
                QueueReport.Held(at: UTCTime.text($0.at), by: $0.by, reason: $0.reason)
            }, tried: progress.tried, pinned: progress.pinned, firstRefusal: progress.firstRefusal?.description,
            relay: progress.relay.map {
                "at relay \($0.name) since \(UTCTime.text($0.entered)), until \(UTCTime.text($0.until)), "
                    + "cause \($0.cause.rawValue), \($0.attempts) transactions"
                    + ($0.said.map { "; it said \($0)" } ?? "")
            })
        if work.hold != nil { deadline = nil }
        (next, nextAt) = Self.outlook(of: work, message, at: now)
    }

    /// What happens next by what the queue knows.
    private static func outlook(
        of work: QueueEntry.Part, _ message: QueuedMessage?, at now: Timestamp
    ) -> (String, String?) {
        switch work.state {
        case .held:
            let left = work.hold.flatMap { hold in
                message.map { max(0, ($0.expires - hold.at).milliseconds / 1_000) }
            }
            let time = left.map { ", with \(Age.text(seconds: $0)) left then" } ?? ""
            return ("nothing until figaro queue release\(time)", nil)
        case .handedOut, .fresh: return ("it is tried as soon as a session is free", nil)
        case .due: return ("it is due, and handed out as soon as there is room", UTCTime.text(work.progress.due))
        case .waiting:
            let keeps = work.progress.pinned.map { ", from \($0) alone" } ?? ""
            let seconds = max(0, (work.progress.due - now).milliseconds / 1_000)
            return ("it is tried again in \(Age.text(seconds: seconds))\(keeps)", UTCTime.text(work.progress.due))
        }
    }

    /// Adds what the planner knows.
    mutating func tell(
        _ answer: Result<RouteExplanation, UnknownHosts>?, of work: QueueEntry.Part, _ message: QueuedMessage,
        all: Bool, objections: [String: String]
    ) {
        var way = ExplainReport(
            sender: message.sender.description, recipient: recipients.first ?? "", domain: domain,
            customer: message.customer)
        way.tell(answer, all: all, objections: objections)
        self.way = way
        guard work.state != .held, case .success(let found)? = answer else { return }
        if let wire = found.onWire {
            next = "it is being sent now, from \(wire.source.name)(\(wire.source.address)) to \(wire.host)"
        } else if let block = found.site.block {
            next += "; not now: \(block.why)" + (block.until.map { ", until \(UTCTime.text($0))" } ?? "")
        } else if found.isInMemory {
            let site = found.site
            next =
                "it waits for a session to \(site.name): \(site.busy + site.idle + site.opening) of \(site.limit) "
                + "are open, \(site.waiting) works wait"
        }
    }
}
