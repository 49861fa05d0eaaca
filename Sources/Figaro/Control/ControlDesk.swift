import Mail
import Queue
import Storage

/// Answers what commands ask about the queue and the history.
struct ControlDesk: Sendable {
    let queue: MailQueue
    let history: History

    func answer(_ request: ControlRequest, _ send: ControlServer.Send) -> ControlEnd {
        do {
            switch request.command {
            case .queueList: return try list(request, send)
            case .queueShow:
                return try withMessage(request) { id in
                    guard let entry = try queue.show(id) else { return ControlEnd(unknown: true) }
                    _ = send(JSONLine.text(QueueReport(entry)))
                    return ControlEnd()
                }
            case .trace:
                return try withMessage(request) { id in
                    let events = try history.events(of: id)
                    for event in events where !send(JSONLine.text(TraceReport(event))) { break }
                    return ControlEnd(unknown: events.isEmpty ? true : nil)
                }
            }
        } catch {
            return ControlEnd(error: "the store cannot be read: \(error)")
        }
    }

    private func withMessage(_ request: ControlRequest, _ body: (MessageID) throws -> ControlEnd) rethrows -> ControlEnd
    {
        guard let id = request.id.flatMap({ MessageID($0) }) else {
            return ControlEnd(error: "not a message id; one has 13 letters and digits")
        }
        return try body(id)
    }

    private func list(_ request: ControlRequest, _ send: ControlServer.Send) throws -> ControlEnd {
        var left = min(max(1, request.limit ?? 100), ControlRequest.limit)
        var filter = QueueFilter(
            domain: request.domain?.lowercased(), customer: request.customer, sender: request.sender,
            limit: min(left, 1_000))
        while true {
            let page = try queue.list(filter)
            for entry in page.entries {
                // One more than asked for tells that there is more.
                guard left > 0 else { return ControlEnd(more: true) }
                guard send(JSONLine.text(QueueReport(entry))) else { return ControlEnd() }
                left -= 1
            }
            guard let next = page.next else { return ControlEnd() }
            filter.after = next
            filter.limit = min(left + 1, 1_000)
        }
    }
}
