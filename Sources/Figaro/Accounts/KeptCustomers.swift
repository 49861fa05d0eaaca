import Intake

/// What is kept of customers, for the parts of the relay that go by it.
struct KeptCustomers: Sendable {
    var customers: [Customer] = []
    /// Names of routes, by customer.
    var routes: [String: String] = [:]
    /// Of notices, by customer.
    var languages: [String: String] = [:]

    /// - Throws: ``RefusedOrder`` for a record that makes no customer.
    init(_ accounts: [String: AccountRecord]) throws(RefusedOrder) {
        for (name, record) in accounts.sorted(by: { $0.key < $1.key }) {
            customers.append(try record.customer(name))
            routes[name] = record.route
            languages[name] = record.language
        }
    }

    /// - Parameter declared: customers of the node's file, which alone says these things of them.
    mutating func yield(to declared: Set<String>) {
        for name in declared {
            routes[name] = nil
            languages[name] = nil
        }
    }
}
