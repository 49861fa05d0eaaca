import Delivery
import Logging
import Mail

/// Shows receivers as the planner knows them, and keeps mail from them and lets it go again.
struct SiteDesk: Sendable {
    let engine: DeliveryEngine
    let book: SteeringBook
    let settings: RunningSettings
    let logger: Logger

    func answer(_ request: SiteRequest, _ caller: ControlCaller) -> ControlEnd {
        switch request.verb {
        case .list: list(request, caller)
        case .show: show(request, caller)
        case .suspend: suspend(request, caller)
        case .resume: resume(request, caller)
        case .forget: forget(request, caller)
        }
    }

    // MARK: Looking

    private func list(_ request: SiteRequest, _ caller: ControlCaller) -> ControlEnd {
        var left = min(max(1, request.limit ?? 100), SiteRequest.limit)
        var sites = engine.sites().map { SiteReport($0, hosts: false) }
        let inMemory = Set(sites.compactMap(\.memory?.receiver))
        sites += engine.receivers().filter { !inMemory.contains($0.name) }.map { SiteReport(known: $0, paths: false) }
        let told = Set(sites.compactMap { $0.suspended ? $0.blocked : nil })
        for (name, order) in book.current.suspensions {
            let report = SiteReport(suspended: name, order)
            if !told.contains(report.blocked ?? "") { sites.append(report) }
        }
        if request.blocked == true { sites.removeAll { $0.blocked == nil } }
        sites.sort { ($1.suspended ? 1 : 0, $1.load, $0.name) < ($0.suspended ? 1 : 0, $0.load, $1.name) }
        for report in sites {
            guard left > 0 else { return ControlEnd(more: true) }
            guard caller.send(report) else { return ControlEnd() }
            left -= 1
        }
        return ControlEnd()
    }

    private func show(_ request: SiteRequest, _ caller: ControlCaller) -> ControlEnd {
        let name = (request.name ?? "").lowercased()
        let sites = engine.sites(named: name)
        for site in sites where !caller.send(SiteReport(site, hosts: true)) { return ControlEnd() }
        if let order = book.current.suspensions[name], !sites.contains(where: { $0.block?.isSuspended == true }) {
            _ = caller.send(SiteReport(suspended: name, order))
            return ControlEnd()
        }
        if sites.isEmpty, let receiver = engine.receiver(named: name) {
            _ = caller.send(SiteReport(known: receiver, paths: true))
            return ControlEnd()
        }
        return ControlEnd(unknown: sites.isEmpty ? true : nil)
    }

    // MARK: Changing

    private func suspend(_ request: SiteRequest, _ caller: ControlCaller) -> ControlEnd {
        let name = (request.name ?? "").lowercased()
        let isRule = settings.current.ipmap.map.rules.contains { $0.name == name }
        if !isRule, engine.sites(named: name).isEmpty, let fault = HostName.fault(in: name) {
            return ControlEnd(
                error: "“\(name)” is neither a host, a recipient domain nor a name from `sites:`: \(fault)")
        }
        let order: StandingOrders.Order
        switch StandingOrders.Order.asked(request.reason, span: request.span, by: caller.name) {
        case .success(let made): order = made
        case .failure(let refusal): return ControlEnd(error: refusal.why)
        }
        do throws(SteeringFile.Fault) {
            let isTaken = try book.change { orders, _ in
                guard orders.suspensions[name] != nil || orders.suspensions.count < SteeringBook.suspensions else {
                    return false
                }
                orders.suspensions[name] = order
                return true
            }
            guard isTaken else { return ControlEnd(error: "\(SteeringBook.suspensions) sites are suspended already") }
        } catch {
            return ControlEnd(error: "nothing was changed: \(error)")
        }
        log("site suspended", name, order)
        let sites = engine.sites(named: name).map(\.name).sorted()
        let known = sites.prefix(3).joined(separator: ", ") + (sites.count > 3 ? ", …" : "")
        let until = order.until.map { " until \(UTCTime.text($0))" } ?? ""
        _ = caller.send(
            OrderReport(
                found: sites.count, changed: 1,
                said: "\(name) suspended\(until): its mail waits",
                warnings: sites.isEmpty
                    ? ["no site in memory has that name; it counts as soon as there is mail for one"]
                    : sites == [name] ? [] : ["sites in memory that it is about: \(known)"]))
        return ControlEnd()
    }

    private func resume(_ request: SiteRequest, _ caller: ControlCaller) -> ControlEnd {
        let name = (request.name ?? "").lowercased()
        let order: StandingOrders.Order
        switch StandingOrders.Order.asked(request.reason, span: nil, by: caller.name) {
        case .success(let made): order = made
        case .failure(let refusal): return ControlEnd(error: refusal.why)
        }
        do throws(SteeringFile.Fault) {
            let known = book.current.suspensions.keys.sorted()
            let was = try book.change { orders, _ in orders.suspensions.removeValue(forKey: name) != nil }
            guard was else {
                return ControlEnd(
                    error: "\(name) is not suspended\(Nearest.hint(name, among: known))"
                        + (known.isEmpty ? "; nothing is" : "; suspended: \(known.prefix(10).joined(separator: ", "))"))
            }
        } catch {
            return ControlEnd(error: "nothing was changed: \(error)")
        }
        log("site resumed", name, order)
        _ = caller.send(
            OrderReport(found: 1, changed: 1, said: "\(name) resumed: its mail goes again", warnings: []))
        return ControlEnd()
    }

    private func forget(_ request: SiteRequest, _ caller: ControlCaller) -> ControlEnd {
        let name = (request.name ?? "").lowercased()
        let order: StandingOrders.Order
        switch StandingOrders.Order.asked(request.reason, span: nil, by: caller.name) {
        case .success(let made): order = made
        case .failure(let refusal): return ControlEnd(error: refusal.why)
        }
        let gone = engine.forget(receiver: name)
        guard gone.receivers > 0 else {
            let known = engine.receivers().map(\.name)
            return ControlEnd(error: "nothing is known of \(name)\(Nearest.hint(name, among: known))")
        }
        let what =
            "\(gone.paths) refused or slowed sources, \(gone.ranges) ranges, \(gone.pins) greylist pins, "
            + "\(gone.paces) paces, \(gone.hosts) hosts"
        logger.notice(
            "site forgotten",
            metadata: [
                "site": "\(name)", "by": "\(order.by)", "reason": "\(order.reason)", "forgotten": "\(what)",
            ])
        _ = caller.send(
            OrderReport(found: gone.receivers, changed: gone.receivers, said: "\(name): forgot \(what)", warnings: []))
        return ControlEnd()
    }

    private func log(_ what: Logger.Message, _ name: String, _ order: StandingOrders.Order) {
        logger.notice(
            what,
            metadata: [
                "site": "\(name)", "by": "\(order.by)", "reason": "\(order.reason)",
                "until": "\(order.until.map { UTCTime.text($0) } ?? "taken back")",
            ])
    }
}

extension SiteReport {
    /// One of which something is known, and that no mail in memory is for.
    init(known state: ReceiverState, paths: Bool) {
        self.init(
            name: state.name, busy: 0, idle: 0, opening: 0, limit: 0, waiting: 0,
            cooling: state.cooling,
            suspended: false, memory: WayReport(state, paths: paths))
    }

    /// One that is suspended and not in memory.
    init(suspended name: String, _ order: StandingOrders.Order) {
        self.init(
            name: name, busy: 0, idle: 0, opening: 0, limit: 0, waiting: 0, cooling: 0,
            blocked: "\(name) is suspended by \(order.by): \(order.reason)",
            until: order.until.map { UTCTime.text($0) }, suspended: true)
    }

    /// What a list is in the order of.
    fileprivate var load: Int { busy + idle + opening + waiting }
}
