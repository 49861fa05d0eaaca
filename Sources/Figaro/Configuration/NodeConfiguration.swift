import DNS
import Delivery
import Filtering
import Intake
import Mail
import NIOCore
import Storage

/// What one YAML file says about this node: checked for form, not yet for what the machine makes of it.
struct NodeConfiguration: Sendable {
    /// The file; nil for the built-in configuration.
    var file: String?
    var hostname: String
    /// Folder of queue, history and content.
    var spool: String
    /// Path of the control socket.
    var control: String
    /// Whom to become after binding, when started as root.
    var user: String?
    var intake: Intake.Configuration
    /// Octets; below it nothing is accepted.
    var minimumDiskFree: Int
    var planner = PlannerConfiguration()
    var session = SessionConfiguration()
    /// What may be connected to although it is not public.
    var allow: [Reach.Allowed] = []
    var resolver: UnboundResolver.Configuration
    /// What `figaro ip check --dns` asks for.
    var namesToCheck = NamesToCheck()
    /// Folder; nil for the built-in map.
    var ipmaps: String?
    /// File of reply rules; nil for the built-in ones.
    var replies: String?
    /// Where `/metrics`, `/health` and `/ready` are answered; nil for nowhere.
    var metrics: MetricsAddress?
    var log: LogSettings
    var notices = NoticeSection()
    /// How long and in how much room the history is kept.
    var history = History.Configuration()
    /// What checks mail before it is accepted; nil: nothing does.
    var filter: Filtering.Configuration?
    /// What mail is signed with.
    var keys = KeySection()
    /// Where each value stands in the file, by its path.
    var places: [String: Place] = [:]

    /// A problem with one of its values, found after decoding.
    func problem(_ path: String, _ message: String) -> Problem {
        let place = places[path]
        return Problem(
            file: file, line: place?.line, column: place?.column, path: path, message: message)
    }

    /// What `figaro serve` runs without a file: mail of this machine only, from every address it has.
    static let builtIn = """
        listeners:
          - { address: 127.0.0.1, port: 2525, tls: none }
        customers:
          loopback: { networks: [127.0.0.0/8, "::1/128"] }
        """
}

/// The `metrics:` section.
struct MetricsAddress: Sendable, Hashable {
    var address: IPAddress
    var port: Int
}

/// The `log:` section.
struct LogSettings: Sendable, Hashable {
    enum Level: String, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    enum Format: String, CaseIterable {
        case logfmt, json
    }

    var level: Level = .info
    var format: Format = .logfmt
}

/// What `figaro ip check --dns` looks for our addresses in.
struct NamesToCheck {
    /// Lists in the DNS that they must not stand on.
    var blockLists: [String] = []
    /// Domains whose SPF policies must cover them, beside those of the EHLO names.
    var policies: [String] = []
}
