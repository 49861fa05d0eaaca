import Mail

/// What is asked of the ``AccountDesk``.
struct AccountRequest: Codable, Sendable, Hashable {
    enum Verb: String, Codable, Sendable {
        case add, set, remove, close, reopen
        case addLogin = "credential add"
        case listLogins = "credential list"
        case revokeLogin = "credential revoke"
    }

    var verb: Verb
    /// Of the customer; nil lists the logins of all.
    var name: String?
    /// What to change; nil leaves everything.
    var change: AccountChange?
    /// Why; needed to close and to reopen.
    var reason: String?
    var user: String?
    /// As `PasswordHash` writes it: the password itself never goes over the socket.
    var password: String?
}

/// What an account is to have from now on; what is nil stays as it is.
struct AccountChange: Codable, Sendable, Hashable {
    var networks: [String]?
    /// Fingerprints.
    var certificates: [String]?
    /// Empty for the node's.
    var language: String?
    var senders: [String]?
    /// Empty for nobody.
    var administrator: String?
    /// By name; 0 takes one away. Those that are not named stay.
    var limits: [String: Int]?
    /// Empty for those of the ip map.
    var route: String?
    /// By name of ``FilterRule``; an empty text takes one away. Those that are not named stay.
    var filter: [String: String]?
}

/// One login as it goes over the control socket, without its password.
struct LoginReport: Codable, Sendable, Hashable, TableRow {
    var customer: String
    var user: String
    var made: String

    static let header = row("CUSTOMER", "USER", "MADE")

    /// One line of a table, safe to show.
    var row: String { Visible.text(Self.row(customer, user, made)) }

    private static func row(_ customer: String, _ user: String, _ made: String) -> String {
        customer.padding(to: 20) + user.padding(to: 32) + made
    }
}
