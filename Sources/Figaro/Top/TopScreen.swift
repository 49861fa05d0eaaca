/// A report as a screen of text, as wide and high as the terminal is.
struct TopScreen {
    let report: TopReport

    /// - Parameters:
    ///   - width: columns; longer lines are cut.
    ///   - height: rows; tables get what the head leaves, sites more than half of it.
    /// - Returns: lines that are safe to show.
    func lines(width: Int, height: Int) -> [String] {
        var lines = head
        let room = max(2, height - lines.count - 4)
        let sources = min(report.sources.count, max(1, room * 2 / 5))
        let sites = min(report.sites.count, max(1, room - sources))
        lines += [
            "",
            "SITE".padding(to: 34) + Self.columns(["DELIV/S", "DEFER/S", "FAIL/S", "OPEN", "WAITING"]) + "  NOT NOW",
        ]
        lines += report.sites.prefix(sites).map { site in
            site.name.padding(to: 34)
                + Self.columns([
                    Self.rate(site.delivered), Self.rate(site.deferred), Self.rate(site.failed), "\(site.sessions)",
                    "\(site.waiting)",
                ]) + (site.blocked.map { "  \($0)" } ?? "")
        }
        lines += ["", "SOURCE".padding(to: 34) + Self.columns(["DELIV/S", "REFUS/S", "OPEN"]) + "  STATE"]
        lines += report.sources.prefix(sources).map { source in
            "\(source.name) \(source.address)".padding(to: 34)
                + Self.columns([Self.rate(source.delivered), Self.rate(source.refused), "\(source.sessions)"])
                + "  \(source.state)"
        }
        return lines.prefix(max(1, height)).map { String(Visible.text($0).prefix(max(1, width))) }
    }

    private var head: [String] {
        var lines = [
            "figaro  \(report.time)" + (report.refusing.map { "  TAKES NO MAIL: \($0)" } ?? ""),
            "a second  accepted \(Self.rate(report.accepted)) (\(Self.size(Int(report.octets)))), "
                + "delivered \(Self.rate(report.delivered)), deferred \(Self.rate(report.deferred)), "
                + "failed \(Self.rate(report.failed)); commits \(Self.rate(report.commits))"
                + (report.commitMilliseconds.map { " of \(Self.rate($0)) ms" } ?? ""),
            "queue     \(report.queueMessages.map(String.init) ?? "?") messages, "
                + "\(report.inFlight) in flight, \(report.waiting.map(String.init) ?? "?") waiting, "
                + "\(report.held.map(String.init) ?? "?") held; oldest "
                + (report.oldestSeconds.map { Self.age($0) } ?? "none"),
            "sessions  in \(report.sessionsIn); out \(report.busy) busy, \(report.idle) idle, "
                + "\(report.opening) opening; \(report.blockedSites) sites not to be sent to"
                + (report.heldCustomers > 0 ? "; \(report.heldCustomers) CUSTOMERS HELD" : ""),
            "sources   \(report.sourcesUsable) usable, \(report.sourcesOff) not; memory "
                + (report.memory.map { Self.size($0) } ?? "?"),
        ]
        if let filter = report.filter {
            lines.append(
                "filter    checks \(Self.rate(filter.checked)), unavailable \(Self.rate(filter.unavailable)); "
                    + "\(filter.nodes - filter.nodesAside) of \(filter.nodes) nodes in use"
                    + (filter.nodesAside > 0 ? ", \(filter.nodesAside) SET ASIDE" : ""))
        }
        if let relays = report.relays { lines.append("relays    " + relays.map(Self.said).joined(separator: "; ")) }
        let refusals = report.refusals.map { "\($0.cause) \(Self.rate($0.rate))" }.joined(separator: ", ")
        lines.append("refused   " + (refusals.isEmpty ? "nothing" : refusals))
        return lines
    }

    private static func said(_ relay: RelayStanding) -> String {
        "\(relay.name) \(relay.works) waiting" + (relay.works > 0 ? " since \(age(relay.oldestSeconds))" : "")
            + (relay.blocked.map { ", NOT NOW: \($0)" } ?? "")
    }

    /// One line where there is no screen.
    var line: String {
        let refusals = report.refusals.map { "\($0.cause)=\(Self.rate($0.rate))" }.joined(separator: " ")
        return Visible.text(
            "\(report.time) accepted=\(Self.rate(report.accepted)) delivered=\(Self.rate(report.delivered)) "
                + "deferred=\(Self.rate(report.deferred)) failed=\(Self.rate(report.failed)) "
                + "queue=\(report.queueMessages.map(String.init) ?? "?") inflight=\(report.inFlight) "
                + "waiting=\(report.waiting.map(String.init) ?? "?") held=\(report.held.map(String.init) ?? "?") "
                + "oldest=\(report.oldestSeconds.map { "\($0)s" } ?? "-") in=\(report.sessionsIn) "
                + "out=\(report.busy)+\(report.idle)+\(report.opening) "
                + "memory=\(report.memory.map { Self.size($0) } ?? "?")" + (refusals.isEmpty ? "" : " " + refusals))
    }

    private static func columns(_ texts: [String]) -> String {
        texts.map { String(repeating: " ", count: max(1, 9 - $0.count)) + $0 }.joined()
    }

    /// `1234`, `12.3`, `0.5`
    static func rate(_ value: Double) -> String {
        guard value.isFinite, value < 1e15 else { return "?" }
        if value >= 100 { return "\(Int(value.rounded()))" }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    /// `66 MB`
    static func size(_ octets: Int) -> String {
        var value = Double(max(0, octets))
        for unit in ["B", "KB", "MB"] {
            if value < 1_024 { return "\(rate(value)) \(unit)" }
            value /= 1_024
        }
        return "\(rate(value)) GB"
    }

    /// `3d 4h`, `2h 5m`, `1m 3s`, `7s`
    static func age(_ seconds: Int) -> String {
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
        ]
        guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
        return parts[first...].prefix(2).map { "\($0.0)\($0.1)" }.joined(separator: " ")
    }
}
