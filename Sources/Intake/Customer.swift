package import Mail

/// Who may relay, known by the address it connects from.
package struct Customer: Sendable, Hashable {
    package var name: String
    package var networks: [IPNetwork]

    package init(name: String, networks: [IPNetwork]) {
        self.name = name
        self.networks = networks
    }
}

/// Finds the customer that an address belongs to.
struct CustomerDirectory: Sendable {
    /// Longest prefix first, so that the first hit is the closest one.
    private let networks: [(network: IPNetwork, name: String)]

    init(_ customers: [Customer]) {
        networks = customers.flatMap { customer in customer.networks.map { ($0, customer.name) } }
            .sorted { $0.network.prefix > $1.network.prefix }
    }

    func name(for address: IPAddress) -> String? {
        networks.first { $0.network.contains(address) }?.name
    }
}
