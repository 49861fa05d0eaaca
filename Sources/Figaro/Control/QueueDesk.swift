import Mail
import Queue

/// Answers what commands ask about the queue.
struct QueueDesk: Sendable {
    let queue: MailQueue

    func answer(_ request: QueueRequest, _ caller: ControlCaller) -> ControlEnd {
        do {
            switch request.verb {
            case .list: return try list(request, caller)
            case .show:
                guard let id = MessageID(asked: request.id) else { return .notAnID }
                guard let entry = try queue.show(id) else { return ControlEnd(unknown: true) }
                _ = caller.send(QueueReport(entry))
                return ControlEnd()
            }
        } catch {
            return ControlEnd(error: "the store cannot be read: \(error)")
        }
    }

    private func list(_ request: QueueRequest, _ caller: ControlCaller) throws -> ControlEnd {
        var left = min(max(1, request.limit ?? 100), QueueRequest.limit)
        var filter = QueueFilter(
            domain: request.domain?.lowercased(), customer: request.customer, sender: request.sender,
            limit: min(left, 1_000))
        while true {
            let page = try queue.list(filter)
            for entry in page.entries {
                // One more than asked for tells that there is more.
                guard left > 0 else { return ControlEnd(more: true) }
                guard caller.send(QueueReport(entry)) else { return ControlEnd() }
                left -= 1
            }
            guard let next = page.next else { return ControlEnd() }
            filter.after = next
            filter.limit = min(left + 1, 1_000)
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
