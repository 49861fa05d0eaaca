package import Filtering
package import Mail

/// Who may relay: known by the address it connects from, by a login, or by a certificate.
package struct Customer: Sendable, Hashable {
    package var name: String
    package var networks: [IPNetwork]
    package var credentials: [Credential]
    /// Of the certificates that its servers show, or of their public keys.
    package var certificates: [CertificateFingerprint] = []
    /// What it may send from; empty: everything that no other customer has declared.
    package var senders = SenderSet()
    package var limits = CustomerLimits()
    /// Who is told when it is held.
    package var administrator: Address?

    /// What filters go by for its mail; nil: what the filters' own settings say of it.
    package var filter: Filtering.Configuration.Policy?
    /// Nothing is taken from it any more.
    package var isClosed = false

    /// Something of what it sends has to be counted.
    var isLimited: Bool { limits != CustomerLimits() }

    package init(name: String, networks: [IPNetwork], credentials: [Credential] = []) {
        self.name = name
        self.networks = networks
        self.credentials = credentials
    }
}

/// One name and password that a customer logs in with. Each of its servers and programs has one of its own, so that
/// one can be taken away without the others.
package struct Credential: Sendable, Hashable {
    /// Nobody else's; compared as it is written.
    package var user: String
    package var password: PasswordHash
    package var made: Timestamp

    package init(user: String, password: PasswordHash, made: Timestamp) {
        self.user = user
        self.password = password
        self.made = made
    }
}
