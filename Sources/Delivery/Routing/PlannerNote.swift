import Mail
import Queue

/// A line for the operator's log.
package struct PlannerNote: Sendable, Hashable {
    package enum Level: Sendable, Hashable {
        case notice, error
    }

    package var level: Level
    /// Always the same for the same matter; what differs is in `facts`.
    package var text: String
    package var facts: [String: String]
}

extension Planner {
    mutating func log(_ level: PlannerNote.Level, _ text: String, _ work: Work?, _ facts: [String: String]) {
        var facts = facts
        if let work {
            facts["message"] = work.message.id.description
            facts["domain"] = work.domain
        }
        actions.append(.log(PlannerNote(level: level, text: text, facts: facts)))
    }
}
