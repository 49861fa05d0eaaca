import Delivery
import Filtering
import Intake
import Mail
import Queue

/// Shows what receivers make of each customer's mail, and holds customers and lets them go.
struct CustomerDesk: Sendable {
    let engine: DeliveryEngine
    let warden: CustomerWarden
    let book: AccountBook
    let settings: RunningSettings
    /// What a customer has used of its limits.
    let used: @Sendable (String) -> CustomerLimits

    func answer(_ request: CustomerRequest, _ caller: ControlCaller) -> ControlEnd {
        switch request.verb {
        case .list: list(caller)
        case .show: show(request, caller)
        case .hold, .release: change(request, caller)
        }
    }

    /// Those of the node's file, those that are kept, and those that something is known of.
    private var reports: [CustomerReport] {
        let known = engine.customers()
        let names = Set(settings.current.node.intake.customers.map(\.name)).union(book.current.keys)
            .subtracting(known.map(\.name))
        let quiet = names.map { KnownCustomer(name: $0) }
        return (known + quiet).map { CustomerReport($0, account: account(of: $0.name)) }.sorted {
            ($0.rank, $0.name) < ($1.rank, $1.name)
        }
    }

    private func account(of name: String) -> CustomerReport.Account? {
        let (node, kept) = (settings.current.node, book.current[name])
        if let declared = node.intake.customers.first(where: { $0.name == name }) {
            var account = CustomerReport.Account(declared, kept: "file", used: used(name))
            account.language = node.notices.languages[name]
            account.filter = node.filter?.customers[name].map(FilterRule.values)
            account.closed = kept?.closed.map { CustomerReport.Closure($0) }
            return account
        }
        return kept.flatMap { record in
            guard let customer = try? record.customer(name) else { return nil }
            var account = CustomerReport.Account(customer, kept: "spool", used: used(name))
            account.language = record.language
            account.route = record.route
            account.filter = record.filter
            account.closed = record.closed.map { CustomerReport.Closure($0) }
            return account
        }
    }

    private func list(_ caller: ControlCaller) -> ControlEnd {
        for report in reports where !caller.send(report) { return ControlEnd() }
        return ControlEnd()
    }

    private func show(_ request: CustomerRequest, _ caller: ControlCaller) -> ControlEnd {
        guard let report = reports.first(where: { $0.name == request.name }) else {
            return unknown(request.name ?? "")
        }
        _ = caller.send(report)
        return ControlEnd()
    }

    private func unknown(_ name: String) -> ControlEnd {
        ControlEnd(error: "no customer is called “\(name)”\(Nearest.hint(name, among: reports.map(\.name)))")
    }

    private func change(_ request: CustomerRequest, _ caller: ControlCaller) -> ControlEnd {
        let name = request.name ?? ""
        guard reports.contains(where: { $0.name == name }) else { return unknown(name) }
        let order: StandingOrders.Order
        switch StandingOrders.Order.asked(request.reason, span: nil, by: caller.name) {
        case .success(let made): order = made
        case .failure(let refusal): return ControlEnd(error: refusal.why)
        }
        let isHold = request.verb == .hold
        do {
            guard let count = try isHold ? warden.hold(name, order) : warden.release(name, order) else {
                return ControlEnd(error: "\(name) is \(isHold ? "held already" : "not held")")
            }
            let what = "\(Amount.text(count.messages, "message")), \(Amount.text(count.recipients, "recipient"))"
            let said =
                isHold
                ? "\(name) held: \(what) in the queue, and all that it sends from now on"
                : "\(name) released: \(what) due now"
            _ = caller.send(OrderReport(found: 1, changed: 1, said: said, warnings: []))
            return ControlEnd()
        } catch {
            return ControlEnd(error: "\(error)")
        }
    }
}
