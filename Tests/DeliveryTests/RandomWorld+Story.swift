import Mail
import Queue

@testable import Delivery

/// What a failing world has to say.
extension RandomWorld {
    enum StoryLine {
        case told(Timestamp, String)
        case wanted(Timestamp, PlannerAction)

        var text: String {
            switch self {
            case .told(let at, let text): "\(at.milliseconds - 1_800_000_000_000): \(text)"
            case .wanted(let at, let action): "\(at.milliseconds - 1_800_000_000_000): \(Self.text(action))"
            }
        }

        private static func text(_ action: PlannerAction) -> String {
            switch action {
            case .resolve(let lookup): "resolve \(lookup.domain)"
            case .open(let plan): "open \(plan.id.value) from \(plan.source.name) to \(plan.host)"
            case .send(let id, let transaction):
                "send \(transaction.message.id.value) on \(id.value) to \(transaction.recipients)"
            case .close(let id): "close \(id.value)"
            case .settle(let settlements): settlements.map(text).joined(separator: "; ")
            case .fetch(let domain, let limit): "fetch \(limit) of \(domain)"
            case .postpone(let domain, let until): "postpone \(domain) to \(until.milliseconds - 1_800_000_000_000)"
            case .log(let note): "log \(note.text) \(note.facts.sorted { $0.key < $1.key }.map { "\($0): \($1)" })"
            case .hold(let customer, _, _): "hold \(customer)"
            case .trace, .remember: ""
            }
        }

        private static func text(_ settlement: Settlement) -> String {
            let key = "settle \(settlement.key.message.value) \(settlement.key.domain)"
            let ended = settlement.ended.map { "\($0.recipient) \($0.how)" }
            guard let work = settlement.remaining else { return "\(key): \(ended), nothing remains" }
            let progress = work.progress
            let due = progress.due.milliseconds - 1_800_000_000_000
            return "\(key): \(ended), \(settlement.stillHandedOut ? "goes on" : "due \(due)")"
                + " step \(progress.step) tried \(progress.tried) pinned \(progress.pinned ?? "to none")"
                + (progress.doubted ? " in doubt" : "") + (progress.faultedAt.map { " faulty at \($0)" } ?? "")
                + (progress.relay.map { " at the relay for \($0.cause)" } ?? "")
        }
    }

    mutating func tell(_ text: @autoclosure () -> String) {
        if faults.isEmpty { story.append(.told(scene.now, text())) }
    }

    mutating func tell(_ action: PlannerAction) {
        switch action {
        case .trace, .remember: break
        default: if faults.isEmpty { story.append(.wanted(scene.now, action)) }
        }
    }

    mutating func demand(_ isSo: Bool, _ otherwise: @autoclosure () -> String) {
        if !isSo { fault(otherwise()) }
    }

    /// What happens after the first one is of less interest.
    mutating func fault(_ text: String) {
        if faults.count < 10 { faults.append(text) }
    }

    /// What came before the first fault, the latest last.
    var lastOfStory: String {
        let texts = story.lazy.map(\.text)
        return (["faults:"] + faults + ["what came before:"] + texts.suffix(100)).joined(separator: "\n")
    }
}
