/// What is asked of the ``QueueDesk``.
struct QueueRequest: Codable, Sendable, Hashable {
    enum Verb: String, Codable, Sendable {
        case list, show
    }

    var verb: Verb
    /// The message that is meant.
    var id: String?
    var domain: String?
    var customer: String?
    var sender: String?
    /// 1 to ``limit``.
    var limit: Int?

    /// Messages in one list; more would keep a person waiting and help nobody.
    static let limit = 10_000
}
