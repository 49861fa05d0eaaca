import Mail
import Storage

/// What is asked of the ``TraceDesk``.
struct TraceRequest: Codable, Sendable, Hashable {
    /// The message that is meant.
    var id: String
}

/// Answers what commands ask about the history.
struct TraceDesk: Sendable {
    let history: History

    func answer(_ request: TraceRequest, _ caller: ControlCaller) -> ControlEnd {
        guard let id = MessageID(asked: request.id) else { return .notAnID }
        do {
            let events = try history.events(of: id)
            for event in events where !caller.send(TraceReport(event)) { break }
            return ControlEnd(unknown: events.isEmpty ? true : nil)
        } catch {
            return ControlEnd(error: "the history cannot be read: \(error)")
        }
    }
}
