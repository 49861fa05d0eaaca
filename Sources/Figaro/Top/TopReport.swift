/// What is asked of the ``TopDesk``.
struct TopRequest: Codable, Sendable, Hashable {
    /// Milliseconds between two reports, which is what their rates are of; see ``intervals``.
    var interval: Int
    /// Reports; nil: until nobody reads them.
    var count: Int?

    static let intervals = 200...60_000
}

/// What the relay did in the past seconds, as it goes over the control socket.
struct TopReport: Codable, Sendable, Hashable {
    struct Site: Codable, Sendable, Hashable {
        var name: String
        /// Recipients a second.
        var delivered: Double
        var deferred: Double
        var failed: Double
        var sessions: Int
        var waiting: Int
        /// Why nothing is sent there now.
        var blocked: String?
    }

    struct Source: Codable, Sendable, Hashable {
        var name: String
        var address: String
        /// Messages a second.
        var delivered: Double
        var refused: Double
        var sessions: Int
        var state: String
    }

    struct Refusal: Codable, Sendable, Hashable {
        var cause: String
        /// Attempts a second.
        var rate: Double
    }

    /// Checks a second.
    struct Filter: Codable, Sendable, Hashable {
        var checked: Double
        var unavailable: Double
        var nodes: Int
        var nodesAside: Int
    }

    var time: String
    /// What the rates are of.
    var seconds: Double
    /// Messages and octets a second.
    var accepted: Double
    var octets: Double
    /// Recipients a second.
    var delivered: Double
    var deferred: Double
    var failed: Double
    var sites: [Site]
    var sources: [Source]
    var refusals: [Refusal]
    /// nil where there is none.
    var relays: [RelayStanding]?
    /// nil where there is no filter.
    var filter: Filter?
    var queueMessages: Int?
    /// Works (a message and one of its recipient domains) that are with Delivery.
    var inFlight: Int
    /// Works that wait for their time, and that operators hold.
    var waiting: Int?
    var held: Int?
    /// When the oldest message arrived.
    var oldest: String?
    var oldestSeconds: Int?
    var sessionsIn: Int
    var busy: Int
    var idle: Int
    var opening: Int
    var blockedSites: Int
    var heldCustomers: Int
    var sourcesUsable: Int
    var sourcesOff: Int
    /// Octets.
    var memory: Int?
    /// A second.
    var commits: Double
    /// Of the commits of these seconds; nil where there was none.
    var commitMilliseconds: Double?
    /// Why mail is not taken at this moment.
    var refusing: String?
}
