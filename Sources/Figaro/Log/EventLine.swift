import Mail

/// Tells a trace event as one line of the log.
enum EventLine {
    /// Recipients named in a line; the trace has all of them.
    private static let shownRecipients = 10

    static func append(_ event: TraceEvent, _ format: LogSettings.Format, to bytes: inout [UInt8]) {
        var line = LogLine(format, after: exchange(&bytes, with: []))
        switch event {
        case .accepted(let event): accepted(event, &line)
        case .attempted(let event): attempted(event, &line)
        case .ended(let event): ended(event, &line)
        case .notified(let event): notified(event, &line)
        case .steered(let event): steered(event, &line)
        }
        line.end()
        bytes = line.bytes
    }

    private static func begin(_ name: String, _ at: Timestamp, _ message: MessageID, _ line: inout LogLine) {
        line.add("time", at)
        line.add("level", "info")
        line.add("event", name)
        line.add("message", message.description)
    }

    private static func accepted(_ event: TraceEvent.Acceptance, _ line: inout LogLine) {
        begin("accepted", event.at, event.message, &line)
        line.add("customer", event.customer)
        line.add("known_by", event.known)
        line.add("client", event.client.description)
        line.add("helo", event.helo)
        line.add("tls", event.tls)
        line.add("from", "<\(event.sender)>")
        recipients(event.recipients, &line)
        line.add("size", event.size)
        guard let screening = event.screening else { return }
        line.add("verdict", screening.verdict.rawValue)
        line.add("action", screening.action)
        line.add("score", screening.score.map { Screening.text($0) })
        if !screening.changes.isEmpty { line.add("changes", screening.changes.joined(separator: "; ")) }
    }

    private static func attempted(_ event: TraceEvent.Attempt, _ line: inout LogLine) {
        begin("attempt", event.at, event.message, &line)
        line.add("attempt", event.id)
        recipients(event.recipients, &line)
        line.add("site", event.site)
        line.add("source", event.source)
        line.add("source_address", event.sourceAddress?.description)
        line.add("host", event.host)
        line.add("host_address", event.hostAddress?.description)
        line.add("tls", event.tls)
        line.add("phase", event.phase.description)
        line.add("reply", event.reply?.description)
        line.add("trouble", event.trouble)
        line.add("cause", event.cause?.rawValue)
        line.add("rule", event.rule)
        line.add("decision", event.decision)
        line.add("why", event.why)
        if let next = event.next { line.add("next", next) }
    }

    private static func ended(_ event: TraceEvent.End, _ line: inout LogLine) {
        begin("ended", event.at, event.message, &line)
        recipients(event.recipients, &line)
        line.add("how", event.how.name)
        line.add("reason", event.reason)
    }

    private static func notified(_ event: TraceEvent.Notification, _ line: inout LogLine) {
        begin("notice", event.at, event.message, &line)
        line.add("kind", event.kind.rawValue)
        line.add("about", event.about.description)
        line.add("notice", event.notice?.description)
        line.add("sender", event.to?.description)
        recipients(event.recipients, &line)
        line.add("why", event.why)
    }

    private static func steered(_ event: TraceEvent.Steered, _ line: inout LogLine) {
        begin(event.how.name, event.at, event.message, &line)
        line.add("domain", event.domain)
        line.add("by", event.by)
        line.add("reason", event.reason)
    }

    private static func recipients(_ recipients: [Address], _ line: inout LogLine) {
        if recipients.count == 1, let only = recipients.first {
            line.add("to", only.description)
        } else {
            line.add("to", recipients.prefix(shownRecipients).map(\.description).joined(separator: ","))
            line.add("recipients", recipients.count)
        }
    }
}

extension RecipientEnd {
    /// In one word.
    var name: String {
        switch self {
        case .delivered: "delivered"
        case .failed: "failed"
        case .expired: "expired"
        case .deleted: "deleted"
        case .relayed: "relayed"
        }
    }
}

extension TraceEvent.Steered.How {
    /// In one word.
    var name: String {
        switch self {
        case .held: "held"
        case .released: "released"
        case .retried: "retried"
        }
    }
}

extension RecipientReport.Kind {
    /// In one word.
    var name: String {
        switch self {
        case .relayed: "relayed"
        case .failed: "failed"
        case .expired: "expired"
        case .delayed: "delayed"
        }
    }
}
