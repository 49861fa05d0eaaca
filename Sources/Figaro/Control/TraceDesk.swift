import Delivery
import Mail
import Queue
import Storage

/// What is asked of the ``TraceDesk``.
struct TraceRequest: Codable, Sendable, Hashable {
    /// The message that is meant.
    var id: String
}

/// Answers what commands ask about the history.
struct TraceDesk: Sendable {
    let history: History
    let queue: MailQueue
    let engine: DeliveryEngine

    func answer(_ request: TraceRequest, _ caller: ControlCaller) -> ControlEnd {
        guard let id = MessageID(asked: request.id) else { return .notAnID }
        do {
            let events = try history.events(of: id)
            for event in events where !caller.send(TraceReport(event)) { break }
            try tellWhatWaits(id, caller)
            return ControlEnd(unknown: events.isEmpty ? true : nil)
        } catch {
            return ControlEnd(error: "the history cannot be read: \(error)")
        }
    }

    /// What an operator keeps back leaves no line in the history for each message: it is told as it stands now.
    private func tellWhatWaits(_ id: MessageID, _ caller: ControlCaller) throws {
        guard let entry = try queue.show(id) else { return }
        for work in entry.works {
            guard let block = engine.hindrance(of: work.domain), block.isOperators else { continue }
            let report = TraceReport(waiting: id, work.recipients, block, at: SystemTime().now())
            guard caller.send(report) else { return }
        }
    }
}
