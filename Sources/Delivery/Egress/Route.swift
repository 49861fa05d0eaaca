package import Mail

extension IPMap {
    /// The steps that mail of some kind goes through.
    package struct Route: Sendable, Hashable, ExpressibleByArrayLiteral {
        /// 1 or more. A relay is the last of them.
        package var steps: [Step]
        /// Which mail it is for; `default` has none, and is for all that no other is for.
        package var when: Condition
        /// File and line where it is declared; empty for one that no file names.
        package var place: String

        package init(_ steps: [Step], when: Condition = Condition(), place: String = "") {
            self.steps = steps
            self.when = when
            self.place = place
        }

        package init(arrayLiteral steps: Step...) { self.init(steps) }
    }

    /// One step of a route.
    package enum Step: Sendable, Hashable, CustomStringConvertible {
        /// `pool main/4`: up to four sources of that pool.
        case pool(String, budget: Int)
        /// `relay provider/24h`: that relay, for so long, counted from when a message comes to it.
        case relay(String, within: Timestamp.Span)

        package init(pool: String, budget: Int) { self = .pool(pool, budget: budget) }

        /// Sources of its pool that one message is shown from; 0 for a relay.
        package var budget: Int {
            if case .pool(_, let budget) = self { return budget }
            return 0
        }

        package var isRelay: Bool { relay != nil }

        /// The name of its relay.
        package var relay: String? {
            if case .relay(let name, _) = self { return name }
            return nil
        }

        /// As a file has it.
        package var description: String {
            switch self {
            case .pool(let name, let budget): return "pool \(name)/\(budget)"
            case .relay(let name, let span):
                let seconds = span.milliseconds / 1_000
                let units: [(Int64, String)] = [(86_400, "d"), (3_600, "h"), (60, "m")]
                let unit = units.first { seconds >= $0.0 && seconds % $0.0 == 0 && seconds != 86_400 } ?? (1, "s")
                return seconds == 86_400
                    ? "relay \(name)/24h" : "relay \(name)/\(seconds / unit.0)\(unit.1)"
            }
        }
    }

    /// Which mail a route is for: all that is named must hold.
    package struct Condition: Sendable, Hashable {
        /// The sender is <>.
        package var nullSender: Bool
        /// Names of customers, of which one must be the message's; as below, empty: whatever it is.
        package var customers: Set<String>
        /// Domains of the sender; one that begins with `*.` is for all below it.
        package var senderDomains: Set<String>
        /// The same of the recipient.
        package var recipientDomains: Set<String>
        /// Names of receivers with limits, or names that an MX host of the receiver has or lies below.
        package var sites: Set<String>
        /// What the filter said of the message.
        package var verdicts: Set<String>

        package init(
            nullSender: Bool = false, customers: Set<String> = [], senderDomains: Set<String> = [],
            recipientDomains: Set<String> = [], sites: Set<String> = [], verdicts: Set<String> = []
        ) {
            self.nullSender = nullSender
            self.customers = customers
            self.senderDomains = senderDomains
            self.recipientDomains = recipientDomains
            self.sites = sites
            self.verdicts = verdicts
        }
    }
}
