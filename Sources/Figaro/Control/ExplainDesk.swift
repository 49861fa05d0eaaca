import Delivery
import Dispatch
import Intake
import Mail
import Synchronization

/// Tells how a message would go, as the planner would decide at this moment; nothing is sent.
struct ExplainDesk: Sendable {
    let engine: DeliveryEngine
    let settings: RunningSettings
    let book: AccountBook

    /// The resolver has a deadline of its own, which is shorter.
    private static let patience = DispatchTimeInterval.seconds(50)

    private final class Answer: Sendable {
        let value = Mutex<Result<RouteExplanation, UnknownHosts>?>(nil)
        let arrived = DispatchSemaphore(value: 0)
    }

    func answer(_ request: ExplainRequest, _ caller: ControlCaller) -> ControlEnd {
        guard let recipient = try? Address(parsing: request.recipient) else {
            return ControlEnd(error: "“\(request.recipient)” is no mail address")
        }
        guard request.sender.isEmpty || (try? Address(parsing: request.sender)) != nil else {
            return ControlEnd(error: "“\(request.sender)” is no mail address; an empty text is <>")
        }
        if let customer = request.customer {
            let known = settings.current.node.intake.customers.map(\.name) + book.current.keys
            guard known.contains(customer) else {
                return ControlEnd(error: "there is no customer “\(customer)”\(Nearest.hint(customer, among: known))")
            }
        }
        let domain = recipient.domain.lowercased()
        let sender = (try? Address(parsing: request.sender)).map(ReversePath.address) ?? .null
        var report = ExplainReport(
            sender: request.sender, recipient: request.recipient, domain: domain, customer: request.customer)
        let question = RouteQuestion(customer: request.customer ?? "", sender: sender, domain: domain)
        report.tell(ask(question), all: request.all == true)
        _ = caller.send(report)
        return ControlEnd()
    }

    /// Blocks until the resolver and the planner have answered; nil when they do not in time.
    func ask(_ question: RouteQuestion) -> Result<RouteExplanation, UnknownHosts>? {
        let answer = Answer()
        engine.explain(question) { result in
            answer.value.withLock { $0 = result }
            answer.arrived.signal()
        }
        _ = answer.arrived.wait(timeout: .now() + Self.patience)
        return answer.value.withLock { $0 }
    }
}
