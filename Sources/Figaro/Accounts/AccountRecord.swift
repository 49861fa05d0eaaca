import Filtering
import Intake
import Mail

/// A customer's account as it is kept and as it goes over the control socket, without its name.
struct AccountRecord: Codable, Sendable, Hashable {
    struct Login: Codable, Sendable, Hashable {
        var user: String
        /// As ``PasswordHash`` writes it.
        var password: String
        /// Milliseconds since 1970.
        var made: Int64
    }

    /// Why and since when nothing is taken from it any more.
    struct Closure: Codable, Sendable, Hashable {
        var by: String
        var reason: String
        /// Milliseconds since 1970.
        var since: Int64
    }

    /// CIDR blocks that it sends from.
    var networks: [String] = []
    var logins: [Login] = []
    /// Fingerprints, as ``CertificateFingerprint`` writes them.
    var certificates: [String]?
    /// Of notices to its senders; nil for the node's.
    var language: String?
    /// Domains and addresses it may send from.
    var senders: [String]?
    var administrator: String?
    /// By the names of ``CustomerLimitName``.
    var limits: [String: Int]?
    /// The name of a route of the ip map.
    var route: String?
    /// By the names of ``FilterRule``.
    var filter: [String: String]?
    /// nil: it may send.
    var closed: Closure?

    /// Accounts that are kept; the planner keeps books of as many customers.
    static let limit = 10_000
    /// Networks, logins and certificates of one account.
    static let networksLimit = 1_000
    static let loginsLimit = 1_000
    static let certificatesLimit = 1_000
    static let sendersLimit = 10_000

    /// - Throws: what in it cannot be understood.
    func customer(_ name: String) throws(RefusedOrder) -> Customer {
        var customer = Customer(name: name, networks: [])
        for text in networks {
            guard let network = IPNetwork(text) else { throw RefusedOrder(why: "“\(text)” is no network") }
            customer.networks.append(network)
        }
        for login in logins {
            guard let password = PasswordHash(login.password) else {
                throw RefusedOrder(why: "the password of “\(login.user)” is kept in no form that is known")
            }
            customer.credentials.append(
                Credential(user: login.user, password: password, made: Timestamp(milliseconds: login.made)))
        }
        for text in certificates ?? [] {
            guard let print = CertificateFingerprint(text) else {
                throw RefusedOrder(why: CertificateFingerprint.fault(in: text))
            }
            customer.certificates.append(print)
        }
        for text in senders ?? [] where !customer.senders.insert(text) {
            throw RefusedOrder(why: "“\(text)” is no domain, no *.domain and no address such as news@customer.example")
        }
        if let administrator {
            guard let address = try? Address(parsing: administrator) else {
                throw RefusedOrder(why: "“\(administrator)” is no address such as admin@customer.example")
            }
            customer.administrator = address
        }
        customer.limits = CustomerLimits(limits ?? [:])
        customer.filter = filter.map { Filtering.Configuration.Policy($0) }
        customer.isClosed = closed != nil
        return customer
    }
}

/// How accounts and logins may be called.
enum AccountName {
    /// 1 to 64 letters, digits and `.-_`, a letter or digit first: a name stands in logs, files and commands.
    static func fault(in name: String) -> String? {
        guard (1...64).contains(name.utf8.count) else {
            return "has \(name.utf8.count) characters; 1 to 64 are allowed"
        }
        let isPlain = name.utf8.allSatisfy { isAlphanumeric($0) || ".-_".utf8.contains($0) }
        guard isPlain, name.utf8.first.map(isAlphanumeric) == true else {
            return "is not made of letters, digits and .-_ with a letter or digit first"
        }
        return nil
    }

    /// 1 to 255 octets without white space and control characters; an address will do.
    static func fault(inUser user: String) -> String? {
        guard (1...255).contains(user.utf8.count) else { return "has \(user.utf8.count) octets; 1 to 255 are allowed" }
        let isPlain = user.unicodeScalars.allSatisfy { $0.value > 32 && !(127...160).contains($0.value) }
        return isPlain ? nil : "has white space or control characters"
    }

    private static func isAlphanumeric(_ octet: UInt8) -> Bool {
        (48...57).contains(octet) || (65...90).contains(octet & 0xDF)
    }
}
