/// One request on the control socket: one line of JSON that names its area, each of which has a type of its own beside
/// its desk. The answer is lines of JSON: what was asked for, ``ControlProgress`` between them where it takes a while,
/// and a ``ControlEnd`` as the last.
enum ControlRequest: Codable, Sendable, Hashable {
    case queue(QueueRequest)
    case trace(TraceRequest)
    case support(SupportRequest)
    case replies(RepliesRequest)
    case source(SourceRequest)
    case site(SiteRequest)
    case customer(CustomerRequest)
    case account(AccountRequest)
    case reload(ReloadRequest)
    case explain(ExplainRequest)
    case message(MessageExplainRequest)
    case top(TopRequest)
    case filter(FilterRequest)

    /// Octets of a request line.
    static let lineLimit = 64 << 10

    /// As the log names it.
    var name: String {
        switch self {
        case .queue(let request): "queue \(request.verb.rawValue)"
        case .trace: "trace"
        case .support: "support-bundle"
        case .replies: "replies unknown"
        case .source(let request): "ip \(request.verb.rawValue)"
        case .site(let request): "site \(request.verb.rawValue)"
        case .customer(let request): "customer \(request.verb.rawValue)"
        case .account(let request): request.name.map { "\(request.verb.rawValue) \($0)" } ?? request.verb.rawValue
        case .reload: "reload"
        case .explain: "ipmap explain"
        case .message: "explain"
        case .top: "top"
        case .filter: "filter"
        }
    }
}

/// How far long work has come; it also keeps the other side waiting.
struct ControlProgress: Codable, Sendable, Hashable {
    /// One line for a person, safe to show.
    var progress: String
}

/// The last line of an answer.
struct ControlEnd: Codable, Sendable, Hashable {
    var end = true
    /// Why there is no answer, for the person who asked.
    var error: String?
    /// There is more than was asked for.
    var more: Bool?
    /// Nothing of that id is known.
    var unknown: Bool?

    init(error: String? = nil, more: Bool? = nil, unknown: Bool? = nil) {
        self.error = error
        self.more = more
        self.unknown = unknown
    }
}
