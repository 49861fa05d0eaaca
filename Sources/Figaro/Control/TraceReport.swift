import Delivery
import Mail

/// One line of a message's history as it goes over the control socket; keys are those of the log.
struct TraceReport: Codable, Sendable, Hashable {
    var event: String
    var time: String
    var message: String
    var to: [String]
    var customer: String?
    var knownBy: String?
    var client: String?
    var helo: String?
    var from: String?
    var size: Int?
    /// Decimal; JSON's numbers do not hold 64 bits everywhere.
    var attempt: String?
    var site: String?
    var source: String?
    var sourceAddress: String?
    var host: String?
    var hostAddress: String?
    var tls: String?
    var phase: String?
    var reply: String?
    var trouble: String?
    var cause: String?
    var rule: String?
    var decision: String?
    var why: String?
    var next: String?
    var how: String?
    var reason: String?
    var kind: String?
    var about: String?
    var notice: String?
    var sender: String?
    var domain: String?
    var by: String?
    var verdict: String?
    var action: String?
    var score: String?
    var symbols: [String]?
    var changes: [String]?

    init(_ event: TraceEvent) {
        switch event {
        case .accepted(let accepted): self.init(accepted)
        case .attempted(let attempt): self.init(attempt)
        case .ended(let end): self.init(end)
        case .notified(let notified): self.init(notified)
        case .steered(let steered): self.init(steered)
        }
    }

    /// Mail that an operator keeps back.
    init(waiting id: MessageID, _ recipients: [Address], _ block: SiteState.Block, at now: Timestamp) {
        event = "waiting"
        time = UTCTime.text(now)
        message = id.description
        to = recipients.map(\.description)
        reason = block.why
        next = block.until.map { UTCTime.text($0) }
    }

    private init(_ accepted: TraceEvent.Acceptance) {
        event = "accepted"
        time = UTCTime.text(accepted.at)
        message = accepted.message.description
        to = accepted.recipients.map(\.description)
        customer = accepted.customer
        knownBy = accepted.known
        client = accepted.client.description
        helo = accepted.helo
        tls = accepted.tls
        from = accepted.sender.description
        size = accepted.size
        guard let screening = accepted.screening else { return }
        verdict = screening.verdict.rawValue
        action = screening.action
        score = screening.score.map { Screening.text($0) }
        symbols = screening.symbols
        changes = screening.changes
    }

    private init(_ attempt: TraceEvent.Attempt) {
        event = "attempt"
        time = UTCTime.text(attempt.at)
        message = attempt.message.description
        to = attempt.recipients.map(\.description)
        self.attempt = String(attempt.id)
        site = attempt.site
        source = attempt.source
        sourceAddress = attempt.sourceAddress?.description
        host = attempt.host
        hostAddress = attempt.hostAddress?.description
        tls = attempt.tls
        phase = attempt.phase.description
        reply = attempt.reply?.description
        trouble = attempt.trouble
        cause = attempt.cause?.rawValue
        rule = attempt.rule
        decision = attempt.decision
        why = attempt.why
        next = attempt.next.map { UTCTime.text($0) }
    }

    private init(_ end: TraceEvent.End) {
        event = "ended"
        time = UTCTime.text(end.at)
        message = end.message.description
        to = end.recipients.map(\.description)
        how = end.how.name
        reason = end.reason
    }

    private init(_ notified: TraceEvent.Notification) {
        event = "notice"
        time = UTCTime.text(notified.at)
        message = notified.message.description
        to = notified.recipients.map(\.description)
        kind = notified.kind.rawValue
        about = notified.about.description
        notice = notified.notice?.description
        sender = notified.to?.description
        why = notified.why
    }

    private init(_ steered: TraceEvent.Steered) {
        event = steered.how.name
        time = UTCTime.text(steered.at)
        message = steered.message.description
        to = []
        domain = steered.domain
        by = steered.by
        reason = steered.reason
    }

    /// A few lines of a timeline, safe to show.
    var lines: [String] {
        let told =
            switch event {
            case "accepted": acceptedLines
            case "attempt": attemptLines
            case "notice": noticeLines
            case "held", "released", "retried": steeredLines
            case "waiting": ["waiting for \(recipients): \(reason ?? "?")" + (next.map { ", until \($0)" } ?? "")]
            default: ["\(how ?? event): \(recipients)" + (reason.map { ", \($0)" } ?? "")]
            }
        return told.enumerated().map { index, line in
            Visible.text((index == 0 ? time : "").padding(to: 26) + line)
        }
    }

    private var acceptedLines: [String] {
        let known = knownBy.map { " by \($0)" } ?? ""
        return [
            "accepted from customer \(customer ?? "?")\(known), client \(client ?? "?") (\(helo ?? "?"))"
                + (tls.map { ", \($0)" } ?? ""),
            "from <\(from ?? "")> to \(recipients), \(size ?? 0) octets",
        ] + screeningLines
    }

    private var screeningLines: [String] {
        guard let verdict = verdict.flatMap({ Screening.Verdict(rawValue: $0) }) else { return [] }
        let screening = Screening(
            verdict: verdict, action: action ?? "?", score: score.flatMap { Double($0) }, symbols: symbols ?? [],
            changes: changes ?? [])
        return screening.lines.map { "filter: \($0)" }
    }

    private var attemptLines: [String] {
        let source = [source, sourceAddress.map { "(\($0))" }].compactMap(\.self).joined(separator: " ")
        let host = [host, hostAddress.map { "(\($0))" }].compactMap(\.self).joined(separator: " ")
        var lines = ["attempt \(attempt ?? "?") for \(recipients)"]
        let way = [source.isEmpty ? nil : "from \(source)", host.isEmpty ? "for \(site ?? "?")" : "to \(host)", tls]
        lines.append(way.compactMap(\.self).joined(separator: ", "))
        lines.append("\(phase ?? "?"): \(reply ?? trouble ?? "no answer")")
        if let cause { lines.append("cause \(cause)" + (rule.map { ", by rule \($0)" } ?? "")) }
        lines.append(
            "\(decision ?? "?")" + (why.map { $0.isEmpty ? "" : ": \($0)" } ?? "") + (next.map { ", at \($0)" } ?? ""))
        return lines
    }

    private var noticeLines: [String] {
        let about = "notice of \(kind ?? "?") about \(recipients)"
        guard let notice, let sender else { return ["no \(about): \(why ?? "?")"] }
        let other = notice == message ? "about message \(self.about ?? "?")" : "as message \(notice)"
        return ["\(about), to <\(sender)>", "\(other): \(why ?? "?")"]
    }

    private var steeredLines: [String] {
        let why = reason.map { $0.isEmpty ? "" : ": \($0)" } ?? ""
        return ["\(event) for \(domain ?? "?") by \(by ?? "?")\(why)"]
    }

    private var recipients: String {
        let shown = to.prefix(5).map { "<\($0)>" }.joined(separator: " ")
        return to.count > 5 ? "\(shown) and \(to.count - 5) more" : shown
    }
}
