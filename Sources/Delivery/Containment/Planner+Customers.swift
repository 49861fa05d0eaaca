package import Mail
import Queue

/// A customer as the planner sees it.
package struct KnownCustomer: Sendable, Hashable {
    package var name: String
    /// Recipients that receivers took, and that they do not know.
    package var taken: Int
    package var unknown: Int
    /// Answers that refused a message for its content, and for who claims to have sent it.
    package var content: Int
    package var auth: Int
    /// Distinct sources that were refused because of its mail, by receiver.
    package var burns: [String: Int]
    package var hold: StandingOrders.Order?

    package init(
        name: String, taken: Int = 0, unknown: Int = 0, content: Int = 0, auth: Int = 0, burns: [String: Int] = [:],
        hold: StandingOrders.Order? = nil
    ) {
        self.name = name
        self.taken = taken
        self.unknown = unknown
        self.content = content
        self.auth = auth
        self.burns = burns
        self.hold = hold
    }
}

/// Nobody's mail may spoil the addresses of all.
extension Planner {
    /// Customers of which something is known: files name them, so there are never many.
    static let customersLimit = 10_000

    /// Notes what an answer says about the customer, and holds one who uses up its burn budget.
    mutating func account(_ group: AnswerGroup, _ judgement: Judgement, of parcel: Parcel, on session: OpenSession) {
        let customer = parcel.message.customer
        guard customers[customer] != nil || customers.count < Self.customersLimit else { return }
        guard let reading = judgement.reading else {
            noteTaker(session)
            customers[customer, default: CustomerRecord()].taken += group.recipients.count
            return
        }
        switch reading.cause {
        case .source, .range: burn(group.answer, customer, session)
        case .content: customers[customer, default: CustomerRecord()].content += 1
        case .auth: customers[customer, default: CustomerRecord()].auth += 1
        case .recipient: customers[customer, default: CustomerRecord()].unknown += group.recipients.count
        default: break
        }
    }

    /// An address was turned away. That is the customer's doing where the receiver took mail from it before; one that
    /// was on a list already, in whatever phase it says so, tells nothing about who happens to write.
    private mutating func burn(_ answer: PhaseAnswer, _ customer: String, _ session: OpenSession) {
        let site = session.site
        let wasTaken = forgetTaker(session)
        guard let budget = configuration.burns, wasTaken, order(about: customer) == nil else { return }
        let burn = CustomerRecord.Burn(site: site.name, source: session.plan.source.address)
        let excess = customers[customer, default: CustomerRecord()].burn(burn, at: now, budget)
        noteChange(.burns(customer))
        guard let excess else { return }
        let words = String(answer.said.prefix(200))
        let place = excess.site.map { "at \($0)" } ?? "at all receivers"
        holdCustomer(
            customer,
            "\(excess.count) sources refused \(place) because of its mail, the last one \(session.plan.source.name): "
                + words)
    }

    private mutating func holdCustomer(_ customer: String, _ why: String) {
        let order = StandingOrders.Order(by: Self.budgetName, reason: why, since: now)
        orders.customers[customer] = order
        unkept[customer] = order
        withdraw(customer: customer)
        askedToHold[customer] = now
        actions.append(.hold(customer: customer, order, isNew: true))
    }

    /// Who holds a customer without being asked.
    package static let budgetName = "burn budget"

    func order(about customer: String) -> StandingOrders.Order? {
        orders.customers.isEmpty ? nil : orders.customers[customer]
    }

    /// Mail of a held customer came: the queue is to hold it as well. Once a second is enough for any number of it.
    mutating func askToHold(mailOf customer: String) {
        guard let order = order(about: customer) else { return }
        if let asked = askedToHold[customer], asked + .seconds(1) > now { return }
        askedToHold[customer] = now
        actions.append(.hold(customer: customer, order, isNew: false))
    }

    /// The orders about customers have changed.
    mutating func heedCustomers(before: [String: StandingOrders.Order]) {
        for name in orders.customers.keys.sorted() where before[name] == nil { withdraw(customer: name) }
        for name in before.keys where orders.customers[name] == nil {
            customers[name]?.forgive()
            noteChange(.burns(name))
            askedToHold[name] = nil
        }
    }

    /// Gives back what of its mail is in memory and not on the wire.
    private mutating func withdraw(customer: String) {
        for site in sites.values where site.works > 0 {
            let all = site.plain.some(.max) + site.picky.some(.max)
            let own = all.filter { $0.message.customer == customer }
            guard !own.isEmpty else { continue }
            site.plain.removeAll { $0.message.customer == customer }
            site.picky.removeAll { $0.message.customer == customer }
            if site.claimant == customer || site.waiting == 0 { site.claimant = nil }
            giveBack(own, at: site)
        }
        for (name, state) in domains where state.waiting.contains(where: { $0.message.customer == customer }) {
            let own = state.waiting.filter { $0.message.customer == customer }
            domains[name]?.waiting.removeAll { $0.message.customer == customer }
            giveBack(own, at: nil)
        }
    }

    /// Those of whom something is known, or ordered.
    package func customers(at now: Timestamp) -> [KnownCustomer] {
        let held = orders.inForce(at: now).customers
        let names = Set(customers.keys).union(held.keys).sorted()
        return names.map { name in
            let record = customers[name] ?? CustomerRecord()
            let burns = record.burns.filter { $0.value + (configuration.burns?.span ?? .days(1)) > now }
            return KnownCustomer(
                name: name, taken: record.taken, unknown: record.unknown, content: record.content, auth: record.auth,
                burns: Dictionary(grouping: burns.keys) { $0.site }.mapValues(\.count), hold: held[name])
        }
    }
}
