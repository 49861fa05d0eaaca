/// What is asked of the ``QueueDesk``.
struct QueueRequest: Codable, Sendable, Hashable {
    enum Verb: String, Codable, Sendable {
        case list, show, summary, hold, release, retry, delete, bounce
    }

    var verb: Verb
    var selection = QueueSelection()
    /// 1 to ``limit``.
    var limit: Int?
    /// Why something is changed, in one line.
    var reason: String?
    /// Only tell what would be changed.
    var dryRun: Bool?
    /// Everything is meant where the selection selects nothing.
    var all: Bool?

    /// Messages in one list; more would keep a person waiting and help nobody.
    static let limit = 10_000
    /// Octets of a reason.
    static let reasonLimit = 400
}

/// Which messages are meant; what is set must all fit.
struct QueueSelection: Codable, Sendable, Hashable {
    /// Up to ``idLimit``.
    var ids: [String]?
    var site: String?
    var domain: String?
    var sender: String?
    var recipient: String?
    var customer: String?
    /// A source or a pool.
    var source: String?
    /// A relay that it waits for.
    var relay: String?
    /// Milliseconds since it was accepted: at least, and less than.
    var olderThan: Int64?
    var newerThan: Int64?
    /// As ``QueueDesk/states`` names it.
    var state: String?
    var reply: String?

    /// They fit into a request.
    static let idLimit = 1_000

    var isEmpty: Bool { self == QueueSelection() }
}
