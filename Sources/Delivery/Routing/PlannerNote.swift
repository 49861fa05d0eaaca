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

    /// About the way to a receiver.
    enum Way: String {
        case breakerOpened = "range breaker opened"
        case breakerClosed = "range breaker closed"
        case pinReleased = "greylist pin released"
        case slowedDown = "slowed down"
    }
}

extension Planner {
    /// Lines that one event may make: a reload may release thousands of pins.
    private static let loggedAtOnce = 100

    mutating func log(_ level: PlannerNote.Level, _ text: String, _ work: Work?, _ facts: [String: String]) {
        guard logged < Self.loggedAtOnce else { return }
        logged += 1
        var facts = facts
        if let work {
            facts["message"] = work.message.id.description
            facts["domain"] = work.domain
        }
        actions.append(.log(PlannerNote(level: level, text: text, facts: facts)))
    }

    /// - Parameter source: a source or a range; nil where it is about all.
    mutating func log(_ what: PlannerNote.Way, _ receiver: Receiver, _ source: String?, _ why: String) {
        var facts = ["site": receiver.name, "why": why]
        facts["source"] = source
        log(.notice, what.rawValue, nil, facts)
    }
}
