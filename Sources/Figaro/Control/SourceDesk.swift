import Delivery
import Logging
import Mail

/// Shows the sources that mail is sent from, and takes them out of use and back.
struct SourceDesk: Sendable {
    let engine: DeliveryEngine
    let book: SteeringBook
    let settings: RunningSettings
    let logger: Logger

    /// Receivers that are named with one source.
    private static let paths = 100

    func answer(_ request: SourceRequest, _ caller: ControlCaller) -> ControlEnd {
        switch request.verb {
        case .list: list(request, caller)
        case .show: show(request, caller)
        case .drain, .disable, .enable: change(request, caller)
        case .forgive: forgive(request, caller)
        }
    }

    // MARK: Looking

    private func list(_ request: SourceRequest, _ caller: ControlCaller) -> ControlEnd {
        do throws(SourceNames.Unknown) {
            var left = min(max(1, request.limit ?? SourceRequest.limit), SourceRequest.limit)
            for report in try reports(request.names) where request.state == nil || report.state == request.state {
                guard left > 0 else { return ControlEnd(more: true) }
                guard caller.send(report) else { return ControlEnd() }
                left -= 1
            }
            return ControlEnd()
        } catch {
            return ControlEnd(error: error.description)
        }
    }

    private func show(_ request: SourceRequest, _ caller: ControlCaller) -> ControlEnd {
        do throws(SourceNames.Unknown) {
            for var report in try reports(request.names) {
                report.paths = engine.paths(of: report.name, limit: Self.paths).map {
                    SourceReport.Path($0)
                }
                guard caller.send(report) else { return ControlEnd() }
            }
            return ControlEnd()
        } catch {
            return ControlEnd(error: error.description)
        }
    }

    /// What the map says, what operators said over it, and what the planner knows, of each source that is meant.
    private func reports(_ names: [String]) throws(SourceNames.Unknown) -> [SourceReport] {
        let map = settings.current.ipmap
        let wanted = names.isEmpty ? nil : Set(try SourceNames(map).addresses(names))
        let holds = book.current.holds
        let states = Dictionary(
            engine.sources().map { ($0.source.address, $0) }, uniquingKeysWith: { first, _ in first })
        var pools: [IPAddress: [String]] = [:]
        for pool in map.map.pools.values.sorted(by: { $0.name < $1.name }) {
            for source in pool.sources { pools[source.address, default: []].append(pool.name) }
        }
        return map.sources.compactMap { described in
            let address = described.source.address
            guard wanted?.contains(address) ?? true else { return nil }
            return SourceReport(
                described, pools: pools[address] ?? [], hold: holds[address], known: states[address])
        }
    }

    // MARK: Changing

    private func change(_ request: SourceRequest, _ caller: ControlCaller) -> ControlEnd {
        let order: StandingOrders.Order
        switch StandingOrders.Order.asked(request.reason, span: request.span, by: caller.name) {
        case .success(let made): order = made
        case .failure(let refusal): return ControlEnd(error: refusal.why)
        }
        let map = settings.current.ipmap
        do {
            let addresses = try SourceNames(map, strays: Array(book.current.holds.keys)).addresses(request.names)
            let kind: StandingOrders.Hold.Kind? =
                switch request.verb {
                case .drain: .draining
                case .disable: .disabled
                default: nil
                }
            if kind != nil, request.force != true, let short = shortPool(without: Set(addresses), map) {
                return ControlEnd(error: short)
            }
            let changed = try book.change { orders, _ in
                var changed = 0
                for address in addresses {
                    let hold = kind.map { StandingOrders.Hold(kind: $0, order: order) }
                    if orders.holds[address] != nil || hold != nil { changed += 1 }
                    orders.holds[address] = hold
                }
                return changed
            }
            let report = self.report(request.verb, addresses, changed: changed, order, map)
            logger.notice(
                "sources steered",
                metadata: [
                    "verb": "\(request.verb.rawValue)", "by": "\(order.by)", "reason": "\(order.reason)",
                    "sources": "\(SteeringBook.said(addresses))", "count": "\(changed)",
                    "until": "\(order.until.map { UTCTime.text($0) } ?? "taken back")",
                ])
            _ = caller.send(report)
            return ControlEnd()
        } catch let error as SourceNames.Unknown {
            return ControlEnd(error: error.description)
        } catch {
            return ControlEnd(error: "nothing was changed: \(error)")
        }
    }

    private func forgive(_ request: SourceRequest, _ caller: ControlCaller) -> ControlEnd {
        let order: StandingOrders.Order
        switch StandingOrders.Order.asked(request.reason, span: nil, by: caller.name) {
        case .success(let made): order = made
        case .failure(let refusal): return ControlEnd(error: refusal.why)
        }
        do throws(SourceNames.Unknown) {
            let addresses = try SourceNames(settings.current.ipmap).addresses(request.names)
            let site = request.site?.lowercased()
            let gone = engine.forgive(addresses, at: site)
            logger.notice(
                "sources forgiven",
                metadata: [
                    "by": "\(order.by)", "reason": "\(order.reason)", "sources": "\(SteeringBook.said(addresses))",
                    "site": "\(site ?? "all")", "paths": "\(gone.paths)",
                ])
            let what = addresses.count == 1 ? "1 source" : "\(addresses.count) sources"
            _ = caller.send(
                OrderReport(
                    found: addresses.count, changed: gone.paths,
                    said: "\(what) forgiven: \(gone.paths) refusals and rates at \(gone.receivers) receivers forgotten",
                    warnings: gone.receivers == 0
                        ? ["nothing was held against them\(site.map { " at \($0)" } ?? "")"] : []))
            return ControlEnd()
        } catch {
            return ControlEnd(error: error.description)
        }
    }

    private func report(
        _ verb: SourceRequest.Verb, _ addresses: [IPAddress], changed: Int, _ order: StandingOrders.Order,
        _ map: ExpandedIPMap
    ) -> OrderReport {
        let what = addresses.count == 1 ? "1 source" : "\(addresses.count) sources"
        let until = order.until.map { " until \(UTCTime.text($0))" } ?? ""
        var report = OrderReport(found: addresses.count, changed: changed, said: "", warnings: [])
        switch verb {
        case .drain: report.said = "\(what) drained\(until): nothing new begins there"
        case .disable: report.said = "\(what) disabled\(until)"
        default:
            report.said = "\(changed) of \(what) enabled again"
            let known = Set(addresses)
            let off = map.sources.filter { known.contains($0.source.address) && !$0.state.maySend }
            if let first = off.first {
                report.warnings.append(
                    "the ip map itself keeps \(off.count) of them from sending, \(first.source.name) is "
                        + "\(first.state.rawValue) there; change the file and `figaro reload`")
            }
        }
        let holds = book.current.holds
        for pool in map.map.pools.values.sorted(by: { $0.name < $1.name })
        where !pool.sources.isEmpty && pool.sources.allSatisfy({ holds[$0.address] != nil }) && verb != .enable {
            report.warnings.append(
                "no source of pool \(pool.name) is left: its mail takes the next step of its route, or waits")
        }
        return report
    }

    /// Why not, where a pool would be left with less than it is to have.
    private func shortPool(without addresses: Set<IPAddress>, _ map: ExpandedIPMap) -> String? {
        let holds = book.current.holds
        for pool in map.map.pools.values.sorted(by: { $0.name < $1.name }) {
            guard let least = map.minimumActive[pool.name], least > 0,
                pool.sources.contains(where: { addresses.contains($0.address) })
            else { continue }
            let left = pool.sources.count { !addresses.contains($0.address) && holds[$0.address] == nil }
            if left < least {
                return "pool \(pool.name) would be left with \(left) sources, its minimum_active is \(least); "
                    + "--force does it all the same"
            }
        }
        return nil
    }
}

extension SourceReport {
    init(
        _ described: ExpandedIPMap.Described, pools: [String], hold: StandingOrders.Hold?, known: KnownSource?
    ) {
        let source = described.source
        self.init(
            name: source.name, address: source.address.description, ehlo: source.ehlo, range: described.range,
            pools: pools, state: described.state.rawValue, reason: described.reason,
            sessions: known?.tally.sessions ?? 0, delivered: known?.tally.delivered ?? 0,
            refused: known?.tally.refused ?? 0, blamed: known?.tally.blamed ?? 0,
            cooling: known?.cooling.values.reduce(0, +) ?? 0)
        if let hold {
            state = hold.kind.rawValue
            by = hold.order.by
            reason = hold.order.reason
            since = UTCTime.text(hold.order.since)
            until = hold.order.until.map { UTCTime.text($0) }
        } else if !described.state.maySend {
            by = "the ip map"
        } else if let unbound = known?.unbound {
            state = Word.unbound
            reason = unbound.why
            until = UTCTime.text(unbound.until)
        } else if cooling > 0 {
            state = Word.cooling
            reason = reason ?? "for \(cooling) receivers"
        }
    }
}

extension SourceReport {
    private enum Word {
        static let unbound = "unbound"
        static let cooling = "cooling"
    }
}
