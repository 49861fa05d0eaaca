import Delivery
import Mail
import Queue
import Storage

/// What is asked of the ``MessageExplainDesk``.
struct MessageExplainRequest: Codable, Sendable, Hashable {
    /// The message that is meant.
    var id: String
    /// Name each source, not only the first of a kind.
    var all: Bool?
}

/// Tells of one message what is known, what decided it, and what happens next: from the queue, the history, the rules
/// and the planner as they are at this moment.
struct MessageExplainDesk: Sendable {
    let queue: MailQueue
    let history: History
    let engine: DeliveryEngine
    let explain: ExplainDesk

    /// Recipient domains of one message whose way is told; each may cost a question to the DNS.
    private static let ways = 10

    func answer(_ request: MessageExplainRequest, _ caller: ControlCaller) -> ControlEnd {
        guard let id = MessageID(asked: request.id) else { return .notAnID }
        do {
            let entry = try queue.show(id)
            let events = try history.events(of: id)
            guard entry != nil || !events.isEmpty else { return ControlEnd(unknown: true) }
            var report = MessageExplanation(id, entry, events, rules: places, at: SystemTime().now())
            for (index, work) in (entry?.works ?? []).prefix(Self.ways).enumerated() {
                guard let message = entry?.message, caller.progress("asks about \(work.domain)") else { break }
                let question = RouteQuestion(
                    customer: message.customer, sender: message.sender, domain: work.domain,
                    underway: (id, work.progress))
                report.parts[index].tell(
                    explain.ask(question), of: work, message, all: request.all == true,
                    objections: objections(to: message))
            }
            _ = caller.send(report)
            return ControlEnd()
        } catch {
            return ControlEnd(error: "queue or history cannot be read: \(error)")
        }
    }

    /// Why relays do not take a message, by their names.
    private func objections(to message: QueuedMessage) -> [String: String] {
        explain.settings.current.ipmap.map.relays.compactMapValues { $0.objection(to: message) }
    }

    /// Where each rule stands.
    private var places: [String: String] {
        let rules = engine.rules.rules
        return Dictionary(rules.map { ($0.id, $0.place ?? "") }, uniquingKeysWith: { first, _ in first })
    }
}
