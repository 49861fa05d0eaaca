package import Mail

/// How many of our addresses one customer's mail may spoil before it is held.
///
/// Rotation makes up for what neighbours on shared addresses did. It is no way round what receivers think of a
/// customer's mail: that is snowshoe spam, and they answer it by listing the range.
package struct BurnBudget: Sendable, Hashable {
    /// Distinct sources at one receiver: fewer than the 8 in a row that receivers and our own breaker take for a bad
    /// range, so that one customer cannot close it for all; 1 or more.
    package var perSite = 6
    /// Pairs of source and receiver in all: less than a tenth of a /24; 1 or more.
    package var inAll = 20
    /// Which ones count: those of the past day, for as long as public lists keep an address that stopped.
    package var span = Timestamp.Span.days(1)

    package init() {}
}

/// What receivers made of one customer's mail, since the start; burns are kept over restarts as well.
struct CustomerRecord {
    /// Recipients that receivers took, and that they do not know.
    var taken = 0
    var unknown = 0
    /// Answers that refused the message for its content, and for who claims to have sent it.
    var content = 0
    var auth = 0
    /// Sources that were refused because of it, and when.
    private(set) var burns: [Burn: Timestamp] = [:]

    struct Burn: Hashable {
        var site: String
        var source: IPAddress
    }

    /// What a burn was too much for.
    struct Excess: Equatable {
        var count: Int
        /// nil: in all.
        var site: String?
    }

    /// - Returns: set when it uses the budget up.
    mutating func burn(_ burn: Burn, at now: Timestamp, _ budget: BurnBudget) -> Excess? {
        burns = burns.filter { $0.value + budget.span > now }
        burns[burn] = now
        let here = count(at: burn.site)
        if here >= budget.perSite { return Excess(count: here, site: burn.site) }
        return burns.count >= budget.inAll ? Excess(count: burns.count, site: nil) : nil
    }

    func count(at site: String) -> Int { burns.keys.count { $0.site == site } }

    /// An operator let its mail go again.
    mutating func forgive() { burns = [:] }

    // MARK: Over restarts

    /// Of one customer, some 50 octets each: with a larger budget than that the latest of them.
    private static let kept = 1_000

    var lastBurn: Timestamp? { burns.values.max() }

    /// A line for each burn, the latest; nil where there is none.
    var burnsValue: String? {
        guard !burns.isEmpty else { return nil }
        let latest = burns.sorted { ($1.value, $0.key.source) < ($0.value, $1.key.source) }.prefix(Self.kept)
        return latest.map { PathFields.line(["burn", $0.key.source.description, $0.value.field, $0.key.site]) }
            .joined(separator: "\n")
    }

    /// Lines that say nothing sensible are passed over.
    mutating func remember(burns value: String) {
        for fields in PathFields.lines(value).prefix(Self.kept) where fields.count == 4 && fields[0] == "burn" {
            guard let source = IPAddress(fields[1]), let at = Timestamp(field: fields[2]) else { continue }
            burns[Burn(site: fields[3], source: source)] = at
        }
    }
}
