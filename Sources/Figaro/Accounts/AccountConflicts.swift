import Delivery
import Intake
import Mail

extension LoadedConfiguration {
    /// What the files and the accounts that are kept both have a say in, for the operator: where it stands, and what
    /// counts. At most ``conflictsLimit`` lines.
    func conflicts(with accounts: [String: AccountRecord]) -> [String] {
        var found: [String] = []
        var owners: [String: String] = [:]
        for (name, account) in accounts {
            for text in account.networks + (account.certificates ?? []) { owners[text] = name }
        }
        for customer in node.intake.customers {
            let path = "customers.\(customer.name)"
            if let account = accounts[customer.name] { found.append(twin(path, customer.name, account)) }
            for (list, texts) in [
                ("networks", customer.networks.map(\.description)),
                ("certificates", customer.certificates.map(\.description)),
            ] {
                for (index, text) in texts.enumerated() {
                    guard let owner = owners[text], owner != customer.name else { continue }
                    let said =
                        "\(text) is kept in the spool for customer \(owner) as well; the file counts, so that it "
                        + "belongs to \(customer.name)"
                    found.append(node.problem("\(path).\(list)[\(index)]", said).description)
                }
            }
        }
        for (name, account) in accounts.sorted(by: { $0.key < $1.key }) {
            guard let route = account.route, ipmap.map.routes[route] == nil,
                !node.intake.customers.contains(where: { $0.name == name })
            else { continue }
            found.append(
                "customer \(name): its route “\(route)” is in no ip map\(Nearest.hint(route, among: routeNames)), "
                    + "so its mail takes the route that it would take without one; there are "
                    + routeNames.joined(separator: ", "))
        }
        guard found.count > Self.conflictsLimit else { return found }
        return found.prefix(Self.conflictsLimit) + ["and \(found.count - Self.conflictsLimit) more of this kind"]
    }

    private static let conflictsLimit = 100

    var routeNames: [String] { ipmap.map.routes.keys.sorted() }

    private func twin(_ path: String, _ name: String, _ account: AccountRecord) -> String {
        let logins = account.logins.map(\.user).sorted()
        let users =
            logins.isEmpty ? "" : " (\(logins.prefix(5).joined(separator: ", "))\(logins.count > 5 ? ", …" : ""))"
        let closed = account.closed.map { "; it stays closed by \($0.by): \($0.reason)" } ?? ""
        return node.problem(
            path,
            "the spool keeps an account of this name as well; what the file says of it counts, and of the account its "
                + "logins\(users), certificates and other networks\(closed); `figaro customer remove \(name)` takes "
                + "the account away"
        ).description
    }
}
