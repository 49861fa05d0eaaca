/// One request on the control socket: one line of JSON. The answer is lines of JSON, the last of which is a
/// ``ControlEnd``.
struct ControlRequest: Codable, Sendable, Hashable {
    enum Command: String, Codable, Sendable {
        case queueList = "queue list"
        case queueShow = "queue show"
        case trace
    }

    var command: Command
    /// The message that is meant.
    var id: String?
    var domain: String?
    var customer: String?
    var sender: String?
    /// 1 to ``limit``.
    var limit: Int?

    /// Messages in one list; more would keep a person waiting and help nobody.
    static let limit = 10_000
    /// Octets of a request line.
    static let lineLimit = 16 << 10
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
