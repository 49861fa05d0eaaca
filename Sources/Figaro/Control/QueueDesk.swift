import Logging
import Mail
import NIOCore
import Queue

/// Answers what commands ask about the queue, and changes what they want changed.
struct QueueDesk: Sendable {
    let queue: MailQueue
    /// The names of a pool's sources; nil when there is no such pool.
    let sources: @Sendable (String) -> Set<String>?
    let time: any TimeSource
    let logger: Logger

    /// The states that a message can be selected by.
    static let states: [(name: String, states: Set<QueueEntry.State>)] = [
        ("waiting", [.waiting]), ("due", [.due]), ("in-flight", [.handedOut, .fresh]), ("held", [.held]),
    ]

    /// Why a request cannot be carried out, in words for the person who asked.
    struct Refused: Error {
        var why: String
    }

    func answer(_ request: QueueRequest, _ caller: ControlCaller) -> ControlEnd {
        do {
            switch request.verb {
            case .list: return try list(request, caller)
            case .show: return try show(request, caller)
            case .summary: return try summary(request, caller)
            case .hold: return try steer(.hold, request, caller)
            case .release: return try steer(.release, request, caller)
            case .retry: return try steer(.retry, request, caller)
            case .delete: return try steer(.delete, request, caller)
            case .bounce: return try steer(.bounce, request, caller)
            }
        } catch let refused as Refused {
            return ControlEnd(error: refused.why)
        } catch {
            return ControlEnd(error: "the store cannot be used: \(error)")
        }
    }

    // MARK: Looking

    private func show(_ request: QueueRequest, _ caller: ControlCaller) throws -> ControlEnd {
        guard let id = MessageID(asked: request.selection.ids?.first) else { return .notAnID }
        guard let entry = try queue.show(id) else { return ControlEnd(unknown: true) }
        _ = caller.send(QueueReport(entry, at: time.now(), site: { queue.site(of: $0) }))
        return ControlEnd()
    }

    private func list(_ request: QueueRequest, _ caller: ControlCaller) throws -> ControlEnd {
        var left = min(max(1, request.limit ?? 100), QueueRequest.limit)
        var filter = try filter(request.selection)
        var pace = Pace()
        while true {
            // Pages are never shorter, since a filter may admit few of what stands on one.
            filter.limit = 500
            let page = try queue.list(filter)
            for entry in page.entries {
                // One more than asked for tells that there is more.
                guard left > 0 else { return ControlEnd(more: true) }
                let report = QueueReport(
                    entry, at: time.now(), site: { queue.site(of: $0) },
                    fits: { filter.admits($0) { queue.site(of: $0)?.name } })
                guard caller.send(report) else { return ControlEnd() }
                left -= 1
            }
            guard let next = page.next, caller.isThere() else { return ControlEnd() }
            filter.after = next
            if pace.isTime {
                guard caller.progress("looked up to messages of \(UTCTime.text(next.accepted))") else {
                    return ControlEnd()
                }
            }
        }
    }

    private func summary(_ request: QueueRequest, _ caller: ControlCaller) throws -> ControlEnd {
        var pace = Pace()
        let found = try queue.summary(try filter(request.selection)) { looked in
            guard caller.isThere() else { return false }
            return pace.isTime ? caller.progress("looked at \(looked)") : true
        }
        guard let found else { return ControlEnd() }
        let limit = min(max(1, request.limit ?? 20), QueueRequest.limit)
        let now = time.now()
        _ = caller.send(SummaryReport(found.total, of: .total, at: now))
        for group in found.sites.prefix(limit) { _ = caller.send(SummaryReport(group, of: .site, at: now)) }
        for group in found.customers.prefix(limit) { _ = caller.send(SummaryReport(group, of: .customer, at: now)) }
        return ControlEnd(more: max(found.sites.count, found.customers.count) > limit ? true : nil)
    }

    // MARK: Steering

    private func steer(
        _ verb: SteeringOrder.Verb, _ request: QueueRequest, _ caller: ControlCaller
    ) throws -> ControlEnd {
        guard !request.selection.isEmpty || request.all == true else {
            throw Refused(why: "name messages or a filter; --all means everything that waits")
        }
        let isDry = request.dryRun == true
        let filter = try filter(request.selection)
        let order = SteeringOrder(verb, by: caller.name, reason: try reason(request, for: verb, isDry: isDry))
        var pace = Pace()
        let begun = NIODeadline.now()
        let count = try queue.steer(order, filter, isDry: isDry) { count in
            guard caller.isThere() else { return false }
            guard pace.isTime else { return true }
            return caller.progress(
                "\(verb.done) \(count.messages) messages, \(count.recipients) recipients; \(count.looked) looked at")
        }
        let took = (NIODeadline.now() - begun).nanoseconds / 1_000_000
        logger.notice(
            "queue \(verb.rawValue)\(isDry ? " (dry run)" : "")",
            metadata: [
                "by": "\(order.by)", "reason": "\(order.reason)", "selection": "\(JSONLine.text(request.selection))",
                "messages": "\(count.messages)", "recipients": "\(count.recipients)", "milliseconds": "\(took)",
            ])
        _ = caller.send(SteeringReport(count, verb, isDry: isDry, milliseconds: took))
        return ControlEnd()
    }

    private func reason(_ request: QueueRequest, for verb: SteeringOrder.Verb, isDry: Bool) throws -> String {
        let reason = request.reason ?? ""
        guard reason.utf8.count <= QueueRequest.reasonLimit, !reason.unicodeScalars.contains(where: Visible.isHostile)
        else {
            throw Refused(why: "a reason is one line of at most \(QueueRequest.reasonLimit) octets")
        }
        if reason.isEmpty, verb.needsReason, !isDry {
            throw Refused(why: "say why with --reason; it goes into the history of each message and into the log")
        }
        return reason
    }

    private func filter(_ selection: QueueSelection) throws -> QueueFilter {
        var filter = QueueFilter(
            domain: selection.domain?.lowercased(), customer: selection.customer,
            sender: selection.sender.map { Self.address($0) })
        filter.ids = try ids(selection.ids ?? [])
        filter.recipient = selection.recipient.map { Self.address($0) }
        filter.site = selection.site?.lowercased()
        filter.relays = selection.relay.map { [$0] }
        filter.sources = selection.source.map { sources($0) ?? [$0] }
        filter.reply = selection.reply
        let now = time.now()
        filter.before = selection.olderThan.map { now + Timestamp.Span(milliseconds: -max(0, $0)) }
        filter.since = selection.newerThan.map { now + Timestamp.Span(milliseconds: -max(0, $0)) }
        if let state = selection.state {
            guard let known = Self.states.first(where: { $0.name == state }) else {
                let names = Self.states.map(\.name).joined(separator: ", ")
                throw Refused(why: "no state is called “\(state)”; there are \(names)")
            }
            filter.states = known.states
        }
        return filter
    }

    private func ids(_ texts: [String]) throws -> Set<MessageID> {
        guard texts.count <= QueueSelection.idLimit else {
            throw Refused(why: "at most \(QueueSelection.idLimit) ids at a time; `xargs -n 1000` splits a list")
        }
        return try Set(
            texts.map { text in
                guard let id = MessageID(text) else {
                    throw Refused(why: "“\(text)” is not a message id; one has 13 letters and digits")
                }
                return id
            })
    }

    /// Domains are kept in lower case, local parts as they came.
    private static func address(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@") else { return text.lowercased() }
        return text[...at] + text[text.index(after: at)...].lowercased()
    }
}

/// When a person is told of progress: every second.
private struct Pace {
    private var next = NIODeadline.now() + .seconds(1)

    var isTime: Bool {
        mutating get {
            guard .now() >= next else { return false }
            next = .now() + .seconds(1)
            return true
        }
    }
}

extension SteeringOrder.Verb {
    /// What was done, in one word.
    var done: String {
        switch self {
        case .hold: "held"
        case .release: "released"
        case .retry: "made due"
        case .delete: "deleted"
        case .bounce: "bounced"
        }
    }

    /// Whoever looks into it later has to be told why.
    var needsReason: Bool {
        switch self {
        case .hold, .delete, .bounce: true
        case .release, .retry: false
        }
    }
}

extension MessageID {
    /// The id that a person named.
    init?(asked text: String?) {
        guard let id = text.flatMap({ MessageID($0) }) else { return nil }
        self = id
    }
}

extension ControlEnd {
    static let notAnID = ControlEnd(error: "not a message id; one has 13 letters and digits")
}
