import Delivery
import Filtering
import Intake
import Logging
import Mail

/// Changes the accounts that are kept, and their logins.
struct AccountDesk: Sendable {
    let book: AccountBook
    let settings: RunningSettings
    let logger: Logger

    func answer(_ request: AccountRequest, _ caller: ControlCaller) -> ControlEnd {
        do {
            if request.verb == .listLogins { return try list(request, caller) }
            let said = try change(request, by: caller.name)
            var facts: Logger.Metadata = [
                "by": "\(caller.name)", "what": "\(said)", "customer": "\(request.name ?? "")",
            ]
            if let reason = request.reason { facts["reason"] = "\(reason)" }
            logger.notice("account changed", metadata: facts)
            _ = caller.send(OrderReport(found: 1, changed: 1, said: said, warnings: warnings(request)))
            return ControlEnd()
        } catch let refusal as RefusedOrder {
            return ControlEnd(error: refusal.why)
        } catch {
            return ControlEnd(error: "\(error)")
        }
    }

    private func change(_ request: AccountRequest, by caller: String) throws -> String {
        let name = request.name ?? ""
        return switch request.verb {
        case .add: try add(name, request.change ?? AccountChange())
        case .set: try set(name, request.change ?? AccountChange())
        case .remove: try remove(name)
        case .close: try close(name, request.reason, by: caller)
        case .reopen: try reopen(name, request.reason, by: caller)
        case .addLogin: try addLogin(name, request.user ?? "", request.password ?? "")
        case .revokeLogin: try revoke(name, request.user ?? "")
        case .listLogins: ""
        }
    }

    // MARK: accounts

    private func add(_ name: String, _ change: AccountChange) throws -> String {
        if let fault = AccountName.fault(in: name) { throw RefusedOrder(why: "“\(name)” \(fault)") }
        try refuseDeclared(name)
        try book.change { accounts, _ throws(RefusedOrder) in
            guard accounts[name] == nil else { throw RefusedOrder(why: "there is a customer “\(name)” already") }
            guard accounts.count < AccountRecord.limit else {
                throw RefusedOrder(why: "there are \(AccountRecord.limit) accounts, and room for no more")
            }
            var account = AccountRecord()
            try account.take(change, known)
            try refuseTwins(account, of: name, in: accounts)
            accounts[name] = account
        }
        return "customer \(name) added"
    }

    private func set(_ name: String, _ change: AccountChange) throws -> String {
        try refuseDeclared(name)
        try book.change { accounts, _ throws(RefusedOrder) in
            guard var account = accounts[name] else { throw unknown(name, accounts) }
            try account.take(change, known)
            try refuseTwins(account, of: name, in: accounts)
            accounts[name] = account
        }
        return "customer \(name) changed"
    }

    private func remove(_ name: String) throws -> String {
        // One that the file declares as well is the account's twin, and stays.
        if book.current[name] == nil { try refuseDeclared(name) }
        try book.change { accounts, _ throws(RefusedOrder) in
            guard accounts.removeValue(forKey: name) != nil else { throw unknown(name, accounts) }
        }
        return "customer \(name) removed; mail of it that is in the queue goes on"
    }

    private func close(_ name: String, _ reason: String?, by caller: String) throws -> String {
        let order = try StandingOrders.Order.asked(reason, span: nil, by: caller).get()
        if book.current[name] == nil { try refuseDeclared(name) }
        try book.change { accounts, _ throws(RefusedOrder) in
            guard let account = accounts[name] else { throw unknown(name, accounts) }
            guard account.closed == nil else { throw RefusedOrder(why: "\(name) is closed already") }
            accounts[name]?.closed = AccountRecord.Closure(
                by: order.by, reason: order.reason, since: order.since.milliseconds)
        }
        return "customer \(name) closed: nothing more is taken from it; its mail in the queue goes on"
    }

    private func reopen(_ name: String, _ reason: String?, by caller: String) throws -> String {
        _ = try StandingOrders.Order.asked(reason, span: nil, by: caller).get()
        try book.change { accounts, _ throws(RefusedOrder) in
            guard let account = accounts[name] else { throw unknown(name, accounts) }
            guard account.closed != nil else { throw RefusedOrder(why: "\(name) is not closed") }
            accounts[name]?.closed = nil
        }
        return "customer \(name) reopened: it may send again"
    }

    /// What does not count at this moment.
    private func warnings(_ request: AccountRequest) -> [String] {
        guard request.change?.filter?.values.contains(where: { !$0.isEmpty }) == true,
            settings.current.node.filter == nil
        else { return [] }
        return ["this node has no “filter”, so that mail is not checked; the policy counts once it has one"]
    }

    /// A name lives in one place: what the file says would be said twice.
    private func refuseDeclared(_ name: String) throws(RefusedOrder) {
        let node = settings.current.node
        guard node.intake.customers.contains(where: { $0.name == name }) else { return }
        let place = node.places["customers.\(name)"]
        let file = node.file ?? "the built-in configuration"
        throw RefusedOrder(
            why: "\(name) is declared in \(file)\(place.map { ":\($0.line)" } ?? ""); change it there and reload")
    }

    /// An address or certificate belongs to one customer.
    private func refuseTwins(
        _ account: AccountRecord, of name: String, in accounts: [String: AccountRecord]
    ) throws(RefusedOrder) {
        let declared = settings.current.node.intake.customers
        for text in account.certificates ?? [] {
            let owner = accounts.first { $0.key != name && $0.value.certificates?.contains(text) == true }?.key
            let other = declared.first { $0.certificates.contains { $0.description == text } }?.name
            if let owner = owner ?? other {
                throw RefusedOrder(why: "the certificate \(text) belongs to customer \(owner) already")
            }
        }
        for text in account.networks {
            if let owner = accounts.first(where: { $0.key != name && $0.value.networks.contains(text) })?.key {
                throw RefusedOrder(why: "\(text) belongs to customer \(owner) already")
            }
            if let owner = declared.first(where: { $0.networks.contains { $0.description == text } })?.name {
                throw RefusedOrder(why: "\(text) belongs to customer \(owner) already")
            }
        }
    }

    private var known: KnownNames {
        KnownNames(languages: settings.current.texts.keys.sorted(), routes: settings.current.routeNames)
    }

    private func unknown(_ name: String, _ accounts: [String: AccountRecord]) -> RefusedOrder {
        RefusedOrder(why: "no customer “\(name)” is kept here\(Nearest.hint(name, among: Array(accounts.keys)))")
    }

    // MARK: logins

    private func list(_ request: AccountRequest, _ caller: ControlCaller) throws(RefusedOrder) -> ControlEnd {
        let accounts = book.current
        if let name = request.name, accounts[name] == nil { throw unknown(name, accounts) }
        for (name, account) in accounts.sorted(by: { $0.key < $1.key })
        where request.name == nil || request.name == name {
            for login in account.logins.sorted(by: { $0.user < $1.user }) {
                let made = UTCTime.text(Timestamp(milliseconds: login.made))
                guard caller.send(LoginReport(customer: name, user: login.user, made: made)) else {
                    return ControlEnd()
                }
            }
        }
        return ControlEnd()
    }

    private func addLogin(_ name: String, _ user: String, _ password: String) throws -> String {
        if let fault = AccountName.fault(inUser: user) { throw RefusedOrder(why: "the user “\(user)” \(fault)") }
        guard PasswordHash(password) != nil else {
            throw RefusedOrder(why: "the password came in no form that is known")
        }
        try refuseDeclared(name)
        try book.change { accounts, now throws(RefusedOrder) in
            guard var account = accounts[name] else { throw unknown(name, accounts) }
            if let owner = accounts.first(where: { $0.value.logins.contains { $0.user == user } })?.key {
                throw RefusedOrder(why: "the user \(user) belongs to customer \(owner) already; revoke it first")
            }
            guard account.logins.count < AccountRecord.loginsLimit else {
                throw RefusedOrder(why: "\(name) has \(AccountRecord.loginsLimit) logins, and room for no more")
            }
            account.logins.append(
                AccountRecord.Login(user: user, password: password, made: now.milliseconds))
            accounts[name] = account
        }
        return "user \(user) may log in as customer \(name)"
    }

    private func revoke(_ name: String, _ user: String) throws -> String {
        try book.change { accounts, _ throws(RefusedOrder) in
            guard var account = accounts[name] else { throw unknown(name, accounts) }
            guard let index = account.logins.firstIndex(where: { $0.user == user }) else {
                throw RefusedOrder(
                    why: "\(name) has no user “\(user)”\(Nearest.hint(user, among: account.logins.map(\.user)))")
            }
            account.logins.remove(at: index)
            accounts[name] = account
        }
        return "user \(user) of customer \(name) may no longer log in; a session of it ends with its next message"
    }
}

/// What accounts may name.
private struct KnownNames {
    /// That notices can be written in.
    var languages: [String]
    /// Of the ip map.
    var routes: [String]
}

extension AccountRecord {
    fileprivate mutating func take(_ change: AccountChange, _ known: KnownNames) throws(RefusedOrder) {
        if let given = change.networks {
            guard given.count <= Self.networksLimit else {
                throw RefusedOrder(why: "\(given.count) networks are too many; \(Self.networksLimit) are allowed")
            }
            networks = try given.map { text throws(RefusedOrder) in try Self.network(text) }
        }
        if let given = change.certificates {
            guard given.count <= Self.certificatesLimit else {
                throw RefusedOrder(
                    why: "\(given.count) certificates are too many; \(Self.certificatesLimit) are allowed")
            }
            let written = try given.map { text throws(RefusedOrder) in
                guard let print = CertificateFingerprint(text) else {
                    throw RefusedOrder(why: CertificateFingerprint.fault(in: text))
                }
                return print.description
            }
            certificates = written.isEmpty ? nil : written
        }
        if let given = change.senders {
            guard given.count <= Self.sendersLimit else {
                throw RefusedOrder(why: "\(given.count) senders are too many; \(Self.sendersLimit) are allowed")
            }
            senders = given.isEmpty ? nil : given.map { $0.lowercased() }
        }
        if let given = change.administrator { administrator = given.isEmpty ? nil : given }
        try take(limits: change.limits ?? [:])
        try take(filter: change.filter ?? [:])
        if let route = change.route {
            guard route.isEmpty || known.routes.contains(route) else {
                throw RefusedOrder(
                    why: "no route “\(route)”\(Nearest.hint(route, among: known.routes)); there are "
                        + known.routes.joined(separator: ", "))
            }
            self.route = route.isEmpty ? nil : route
        }
        if let given = change.language {
            let language = given.lowercased()
            guard language.isEmpty || known.languages.contains(language) else {
                throw RefusedOrder(
                    why: "no notices are known in “\(given)”; there are \(known.languages.joined(separator: ", "))")
            }
            self.language = language.isEmpty ? nil : language
        }
    }

    private mutating func take(limits given: [String: Int]) throws(RefusedOrder) {
        for (name, value) in given.sorted(by: { $0.key < $1.key }) {
            guard let limit = CustomerLimitName(rawValue: name) else {
                throw RefusedOrder(why: "there is no limit “\(name)”; there are \(CustomerLimitName.all)")
            }
            guard value == 0 || limit.range.contains(value) else {
                throw RefusedOrder(why: "\(name) is from \(limit.range.lowerBound) to \(limit.range.upperBound)")
            }
            var limits = limits ?? [:]
            limits[name] = value == 0 ? nil : value
            self.limits = limits.isEmpty ? nil : limits
        }
    }

    private mutating func take(filter given: [String: String]) throws(RefusedOrder) {
        var filter = filter ?? [:]
        for (name, text) in given.sorted(by: { $0.key < $1.key }) {
            guard let rule = FilterRule(rawValue: name) else {
                throw RefusedOrder(why: "there is nothing called “\(name)” about filters; there are \(FilterRule.all)")
            }
            let value = text.isEmpty ? nil : rule.value(text)
            guard text.isEmpty || value != nil else {
                throw RefusedOrder(why: "“\(text)” is no value of \(name); there is \(rule.expected)")
            }
            filter[name] = value
        }
        let thresholds = Filtering.Configuration.Policy(filter).thresholds
        if let reject = thresholds.reject, let mark = thresholds.addHeader, mark > reject {
            throw RefusedOrder(
                why: "add_header (\(mark)) is more than reject (\(reject)), so nothing would be marked")
        }
        self.filter = filter.isEmpty ? nil : filter
    }

    private static func network(_ text: String) throws(RefusedOrder) -> String {
        guard let network = IPNetwork(text) else {
            throw RefusedOrder(why: "“\(text)” is no network such as 192.0.2.0/24 or 2001:db8::/48")
        }
        guard network.prefix > 0 else { throw RefusedOrder(why: "\(text) is everybody; that would be an open relay") }
        if let slash = text.firstIndex(of: "/"), IPAddress(text[..<slash]) != network.base {
            throw RefusedOrder(why: "“\(text)” has bits set beyond its prefix; did you mean \(network)?")
        }
        return network.description
    }
}
