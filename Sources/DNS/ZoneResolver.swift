import Synchronization

/// Resolves from a ``Zone`` in memory, by the same rules as ``UnboundResolver``.
///
/// Answers are given on the calling thread, before ``resolve(_:then:)`` returns. They are cached without end, until the
/// zone is changed.
package final class ZoneResolver: Resolver {
    private struct State {
        var zone: Zone
        var known: [String: Resolution] = [:]
        var lookups: [String] = []
    }

    private let state: Mutex<State>

    package init(_ zone: Zone) {
        state = Mutex(State(zone: zone))
    }

    /// Changes the zone and forgets what was resolved.
    package func change(_ change: (inout Zone) -> Void) {
        state.withLock { state in
            change(&state.zone)
            state.known = [:]
        }
    }

    /// Domains that were resolved and not found in the cache, in order.
    package var lookups: [String] { state.withLock { $0.lookups } }

    package func cached(_ domain: String) -> Resolution? {
        state.withLock { $0.known[domain] }
    }

    package func resolve(_ domain: String, then: @escaping @Sendable (Resolution) -> Void) {
        let resolution = state.withLock { state in
            if let known = state.known[domain] { return known }
            let resolution = Self.resolve(domain, in: state.zone)
            state.lookups.append(domain)
            state.known[domain] = resolution
            return resolution
        }
        then(resolution)
    }

    package func resolve(host: String, then: @escaping @Sendable (Resolution) -> Void) {
        resolve(InquiryKey.host(host), then: then)
    }

    private static func resolve(_ domain: String, in zone: Zone) -> Resolution {
        if let literal = HostSet(literal: domain) { return .hosts(literal) }
        guard var lookup = InquiryKey.inquiry(domain) else { return .never(.noSuchDomain) }
        var questions: [Question] = []
        var step = lookup.start()
        while true {
            switch step {
            case .done(let resolved): return resolved.resolution
            case .ask(let more): questions += more
            case .wait: break
            }
            guard !questions.isEmpty else { return lookup.outOfTime().resolution }
            let question = questions.removeFirst()
            step = lookup.received(zone.answer(question), to: question)
        }
    }
}
