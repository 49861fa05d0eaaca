import Mail
import Synchronization

/// Counts what happens to messages, from the same events that trace and log are made of.
///
/// Bounded: of receivers only the busiest ``sites`` are counted under their names, all others together.
final class Meter: TraceSink {
    struct Attempt: Hashable {
        var site: String
        /// As traces have it: `delivered`, `another source`, `later`, `failed`.
        var decision: String
        /// The cause's name; empty when the recipients were accepted.
        var cause: String
    }

    /// What became of recipients at a receiver.
    struct Outcome: Hashable {
        enum Kind: String, CaseIterable {
            case delivered, deferred, failed
        }

        var site: String
        var kind: Kind
    }

    struct Counts {
        var messages: [String: Int] = [:]
        var octets: [String: Int] = [:]
        var attempts: [Attempt: Int] = [:]
        var outcomes: [Outcome: Int] = [:]
        var ends: [RecipientEnd: Int] = [:]
        var notices: [NoticeKind: Int] = [:]
    }

    /// A page of some thousand lines is still a small one.
    static let sites = 300
    static let otherSites = "other"

    private struct State {
        var counts = Counts()
        var sites = BusiestNames(limit: Meter.sites)
    }

    private let state = Mutex(State())

    var counts: Counts { state.withLock { $0.counts } }

    func record(_ events: [TraceEvent]) {
        state.withLock { state in
            for event in events {
                switch event {
                case .accepted(let event):
                    state.counts.messages[event.customer, default: 0] += 1
                    state.counts.octets[event.customer, default: 0] += event.size
                case .attempted(let event):
                    Self.count(event, &state)
                    // A delivery ends with its attempt and has no event of its own.
                    if event.decision == "delivered" {
                        state.counts.ends[.delivered, default: 0] += event.recipients.count
                    } else if event.decision == "relayed" {
                        state.counts.ends[.relayed, default: 0] += event.recipients.count
                    }
                case .ended(let event):
                    state.counts.ends[event.how, default: 0] += event.recipients.count
                case .notified(let event):
                    // It is recorded with the message that it is about as well.
                    if event.message == event.notice { state.counts.notices[event.kind, default: 0] += 1 }
                case .steered: break
                }
            }
        }
    }

    private static func count(_ event: TraceEvent.Attempt, _ state: inout State) {
        let (isIn, gone) = state.sites.note(event.site)
        if let gone {
            state.counts.attempts = state.counts.attempts.filter { $0.key.site != gone }
            state.counts.outcomes = state.counts.outcomes.filter { $0.key.site != gone }
        }
        let site = isIn ? event.site : otherSites
        let attempt = Attempt(site: site, decision: event.decision, cause: event.cause?.rawValue ?? "")
        state.counts.attempts[attempt, default: 0] += 1
        guard let kind = Outcome.Kind(decision: event.decision) else { return }
        state.counts.outcomes[Outcome(site: site, kind: kind), default: 0] += event.recipients.count
    }
}

extension Meter.Outcome.Kind {
    /// nil where something else is tried at once.
    fileprivate init?(decision: String) {
        switch decision {
        case "delivered", "relayed": self = .delivered
        case "later": self = .deferred
        case "failed": self = .failed
        default: return nil
        }
    }
}
