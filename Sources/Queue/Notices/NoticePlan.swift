import Mail

/// Who is told what of a message, by RFC 3461 section 6.2 and RFC 3464 section 2: values in, values out.
struct NoticePlan: Sendable {
    private let postmaster: Address?

    init(_ settings: NoticeSettings) {
        postmaster = settings.postmaster
    }

    enum Step: Sendable, Hashable {
        case notify(Draft)
        /// Nobody is told of these, and why.
        case silence(NoticeKind, [Address], why: String)
    }

    struct Draft: Sendable, Hashable {
        var kind: NoticeKind
        var to: Address
        /// The message was a notice itself.
        var isUndeliverable = false
        /// 1 or more.
        var reports: [RecipientReport]
    }

    /// One notice at most of each kind, with all recipients that it is about.
    func steps(for message: UntoldMessage) -> [Step] {
        NoticeKind.allCases.flatMap { kind -> [Step] in
            let reports = message.reports.filter { $0.kind.notice == kind }
            return reports.isEmpty ? [] : steps(kind, reports, of: message)
        }
    }

    private func steps(_ kind: NoticeKind, _ reports: [RecipientReport], of message: UntoldMessage) -> [Step] {
        var steps: [Step] = []
        var wanted: [RecipientReport] = []
        var unwanted: [Address] = []
        var late: [Address] = []
        for report in reports {
            if kind == .delay, !message.waiting.contains(report.recipient) {
                // It has ended since.
                late.append(report.recipient)
            } else if message.message.request.wants(kind.condition, for: report.recipient) {
                wanted.append(report)
            } else {
                unwanted.append(report.recipient)
            }
        }
        if !unwanted.isEmpty { steps.append(.silence(kind, unwanted, why: "the sender asked not to be told")) }
        if !late.isEmpty { steps.append(.silence(kind, late, why: "it has ended meanwhile")) }
        if !wanted.isEmpty { steps.append(step(kind, wanted, of: message)) }
        return steps
    }

    private func step(_ kind: NoticeKind, _ reports: [RecipientReport], of message: UntoldMessage) -> Step {
        if case .address(let sender) = message.message.sender {
            return .notify(Draft(kind: kind, to: sender, reports: reports))
        }
        // RFC 5321 section 6.1: never a notice about a notice, or two servers would talk for ever.
        let recipients = reports.map(\.recipient)
        guard kind == .failure else { return .silence(kind, recipients, why: "the sender is <>") }
        guard let postmaster else {
            return .silence(kind, recipients, why: "the sender is <> and no postmaster is configured")
        }
        let isToPostmaster = message.recipients.contains {
            $0.domain == postmaster.domain && $0.localPart.lowercased() == postmaster.localPart.lowercased()
        }
        guard !isToPostmaster else {
            return .silence(kind, recipients, why: "the sender is <> and the message was for the postmaster")
        }
        return .notify(Draft(kind: kind, to: postmaster, isUndeliverable: true, reports: reports))
    }
}

extension NoticePlan.Step {
    /// For the history: with the message that it is about, and with the notice.
    func events(about: MessageID, notice: MessageID?, at now: Timestamp) -> [TraceEvent] {
        var event: TraceEvent.Notification
        switch self {
        case .notify(let draft):
            event = TraceEvent.Notification(
                message: about, at: now, about: about, notice: notice, kind: draft.kind, to: draft.to,
                recipients: draft.reports.map(\.recipient),
                why: draft.isUndeliverable ? "the sender is <>, so the postmaster is told" : "the sender is told")
        case .silence(let kind, let recipients, let why):
            event = TraceEvent.Notification(
                message: about, at: now, about: about, notice: nil, kind: kind, to: nil, recipients: recipients,
                why: why)
        }
        var events = [TraceEvent.notified(event)]
        if let notice {
            event.message = notice
            events.append(.notified(event))
        }
        return events
    }
}
