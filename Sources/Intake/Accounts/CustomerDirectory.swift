import Mail

/// Finds the customer that an address, a login or a certificate belongs to. A value that never changes: when
/// customers do, sessions that begin from then on have another one.
struct CustomerDirectory: Sendable {
    private let customers: [Customer]
    private let byNetwork: [IPNetwork: Int]
    /// Lengths of prefixes that occur, longest first, so that the first hit is the closest one.
    private let prefixes4: [Int]
    private let prefixes6: [Int]
    private let byUser: [String: Owner]
    private let byCertificate: [CertificateFingerprint: Int]
    private let byName: [String: Int]
    private let claimed: SenderSet

    private struct Owner {
        var customer: Int
        var credential: Credential
    }

    /// - Parameter customers: where two claim a network, user or certificate, the first has it.
    init(_ customers: [Customer]) {
        self.customers = customers
        var byNetwork: [IPNetwork: Int] = [:]
        var byUser: [String: Owner] = [:]
        var byCertificate: [CertificateFingerprint: Int] = [:]
        for (index, customer) in customers.enumerated() {
            for network in customer.networks where byNetwork[network] == nil { byNetwork[network] = index }
            for credential in customer.credentials where byUser[credential.user] == nil {
                byUser[credential.user] = Owner(customer: index, credential: credential)
            }
            for print in customer.certificates where byCertificate[print] == nil { byCertificate[print] = index }
        }
        var claimed = SenderSet()
        for customer in customers { claimed.formUnion(customer.senders) }
        self.claimed = claimed
        byName = Dictionary(customers.enumerated().map { ($1.name, $0) }) { first, _ in first }
        self.byNetwork = byNetwork
        self.byUser = byUser
        self.byCertificate = byCertificate
        prefixes4 = Set(byNetwork.keys.filter(\.base.isIPv4).map(\.prefix)).sorted(by: >)
        prefixes6 = Set(byNetwork.keys.filter { !$0.base.isIPv4 }.map(\.prefix)).sorted(by: >)
    }

    /// Somebody can log in.
    var hasLogins: Bool { !byUser.isEmpty }

    /// Somebody is known by a certificate.
    var hasCertificates: Bool { !byCertificate.isEmpty }

    /// The first of these fingerprints that somebody has declared.
    func owner(of prints: [CertificateFingerprint]) -> (customer: Customer, certificate: CertificateFingerprint)? {
        for print in prints {
            if let index = byCertificate[print] { return (customers[index], print) }
        }
        return nil
    }

    func customer(at address: IPAddress) -> Customer? {
        for prefix in address.isIPv4 ? prefixes4 : prefixes6 {
            guard let network = IPNetwork(address, prefix: prefix), let index = byNetwork[network] else { continue }
            return customers[index]
        }
        return nil
    }

    func customer(named name: String) -> Customer? { byName[name].map { customers[$0] } }

    /// nil where it may use every sender.
    func senderRight(of customer: Customer) -> SenderRight? { SenderRight(own: customer.senders, claimed: claimed) }

    func owner(of user: String) -> (customer: Customer, credential: Credential)? {
        byUser[user].map { (customers[$0.customer], $0.credential) }
    }
}
