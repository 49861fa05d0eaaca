import Delivery
import Mail

/// What the files of `ipmaps/` declare, merged and not yet expanded. Names keep the place where they were declared, so
/// that every later complaint can name it.
struct IPMapDeclarations {
    var ranges = Merged<RangeDeclaration>()
    var sources = Merged<SourceDeclaration>()
    var pools = Merged<PoolDeclaration>()
    var relays = Merged<RelayDeclaration>()
    var routes = Merged<RouteDeclaration>()
    var sites = Merged<IPMap.FixedSite>()
    var rules = Merged<SiteRule>()
    /// Where limits for hosts below a name were declared, by that name.
    var suffixes: [String: String] = [:]

    /// Declarations of one kind by name; a name declared twice is an error that names both places.
    struct Merged<Value> {
        /// In the order of the files.
        private(set) var entries: [(name: String, place: Field, value: Value)] = []
        private var index: [String: Int] = [:]

        var isEmpty: Bool { entries.isEmpty }
        var names: [String] { entries.map(\.name) }

        subscript(name: String) -> Value? { index[name].map { entries[$0].value } }

        mutating func add(_ name: String, at place: Field, _ value: Value) {
            if let first = index[name].map({ entries[$0].place }) {
                place.complain("is defined twice; the first is in \(first.place)")
                return
            }
            index[name] = entries.count
            entries.append((name, place, value))
        }
    }
}

/// Where a range's addresses come from, and the names they give themselves.
struct RangeDeclaration {
    enum Addresses {
        case network(IPNetwork, exclude: [IPNetwork], onePer: Int?, count: Int?)
        /// The addresses of one interface; nil means every global address of the machine.
        case interface(String?)
    }

    var addresses: Addresses
    /// nil: the machine's own name, for a range that is an interface.
    var ehlo: EHLOTemplate?
}

/// What the file says about one member of a range.
struct SourceDeclaration {
    var state: SourceState
    var reason: String?
}

/// The states of a source that a file may name.
enum SourceState: String, CaseIterable, Sendable {
    case new, warming, active, cooling, draining, disabled, unbound, listed

    /// The state that an operator gave it.
    init(_ kind: StandingOrders.Hold.Kind) {
        switch kind {
        case .draining: self = .draining
        case .disabled: self = .disabled
        }
    }

    /// Whether new mail may leave from it. `cooling` is about one site and leaves the others free.
    var maySend: Bool {
        switch self {
        case .new, .warming, .active, .cooling: true
        case .draining, .disabled, .unbound, .listed: false
        }
    }
}

/// A pool before its members are looked up.
struct PoolDeclaration {
    enum Selection: String, CaseIterable {
        case random
    }

    /// Names of ranges or of single sources, with their places.
    var members: [(name: String, place: Field)]
    var minimumActive: Int
    var messagesPerSession: Int
    var cooldown: [Timestamp.Span]

    /// A session that carries this many has paid for its handshake; more would let one source gather a site's mail.
    static let messagesPerSession = 20
    static let cooldown: [Timestamp.Span] = [.minutes(30), .hours(1), .hours(2), .hours(6)]
}

/// A route before its steps and conditions are looked up.
struct RouteDeclaration {
    var steps: [StepDeclaration]
    /// nil: it has no “when”.
    var when: (condition: IPMap.Condition, place: Field)?
}

/// `pool main/4` before the pool is looked up.
struct StepDeclaration {
    var step: IPMap.Step
    var place: Field
}

/// A relay before its pool is looked up and its password is read.
struct RelayDeclaration {
    /// Without sources and login.
    var relay: IPMap.Relay
    var username: String?
    var passwordFile: Field?
    var pool: Field?
}
