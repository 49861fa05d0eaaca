import Mail
import Synchronization

/// Counts what happens to messages, from the same events that trace and log are made of.
///
/// Bounded: receivers choose their names, so that only the first ``sites`` sites are counted under their own.
final class Meter: TraceSink {
    struct Attempt: Hashable {
        var site: String
        /// As traces have it: `delivered`, `another source`, `later`, `failed`.
        var decision: String
        /// The cause's name; empty when the recipients were accepted.
        var cause: String
    }

    struct Counts {
        var messages: [String: Int] = [:]
        var octets: [String: Int] = [:]
        var attempts: [Attempt: Int] = [:]
        var ends: [RecipientEnd: Int] = [:]
        var notices: [NoticeKind: Int] = [:]
    }

    /// A page of some thousand lines is still a small one.
    static let sites = 300
    static let otherSites = "other"

    private struct State {
        var counts = Counts()
        var sites: Set<String> = []
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
                    let attempt = Attempt(
                        site: Self.name(event.site, among: &state.sites), decision: event.decision,
                        cause: event.cause?.rawValue ?? "")
                    state.counts.attempts[attempt, default: 0] += 1
                    // A delivery ends with its attempt and has no event of its own.
                    if event.decision == "delivered" {
                        state.counts.ends[.delivered, default: 0] += event.recipients.count
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

    private static func name(_ site: String, among known: inout Set<String>) -> String {
        if known.contains(site) { return site }
        guard known.count < sites else { return otherSites }
        known.insert(site)
        return site
    }
}
