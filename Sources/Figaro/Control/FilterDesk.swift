import Filtering

/// What is asked of the ``FilterDesk``: how the nodes stand.
struct FilterRequest: Codable, Sendable, Hashable {}

/// The filter of a node, as it goes over the control socket.
struct FilterReport: Codable, Sendable, Hashable {
    struct Node: Codable, Sendable, Hashable {
        var name: String
        /// `rspamd` (or a filter node), or `clamd`.
        var kind: String
        /// `in use`, `set aside` or `returning`.
        var state: String
        /// Until it may come back, once a ping is answered.
        var secondsAside: Int?
        var busy: Int
        var checks: Int
        var failed: Int
        /// Why the latest check that failed did; nil once one has been answered.
        var lastFailure: String?
    }

    var checked: Int
    /// By what came of them; those that are none are left out.
    var results: [String: Int]
    var hedged: Int
    /// Of a check, on the average.
    var milliseconds: Double?
    var nodes: [Node]
}

extension FilterReport {
    init(_ figures: FilterFigures) {
        checked = figures.checked
        results = Dictionary(
            figures.results.filter { $0.count > 0 }.map { ($0.word, $0.count) }, uniquingKeysWith: { first, _ in first }
        )
        hedged = figures.hedges
        milliseconds = figures.checked > 0 ? figures.sum * 1_000 / Double(figures.checked) : nil
        nodes = figures.nodes.map { node in
            Node(
                name: node.name, kind: node.isScanner ? "clamd" : "rspamd",
                state: node.isAside ? "set aside" : node.isReturning ? "returning" : "in use",
                secondsAside: node.isAside ? node.secondsAside : nil, busy: node.busy, checks: node.checks,
                failed: node.failed, lastFailure: node.lastFailure)
        }
    }

    /// For a person.
    var lines: [String] {
        let came = results.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let width = nodes.map(\.name.count).max().map { max($0, 4) + 2 } ?? 6
        var lines = [
            "checked   \(checked)" + (came.isEmpty ? "" : ": \(came)") + (hedged > 0 ? "; \(hedged) asked twice" : ""),
            "",
            "NODE".padding(to: width) + "KIND    BUSY  CHECKS  FAILED  STATE",
        ]
        lines += nodes.map { node in
            let left = node.secondsAside.map { $0 > 0 ? ", back in \($0) s when it answers" : ", back when it answers" }
            return node.name.padding(to: width) + node.kind.padding(to: 6)
                + [(node.busy, 6), (node.checks, 8), (node.failed, 8)].map { number, room in
                    let text = "\(number)"
                    return String(repeating: " ", count: max(1, room - text.count)) + text
                }.joined() + "  " + node.state + (left ?? "") + (node.lastFailure.map { ": it \($0)" } ?? "")
        }
        return lines
    }
}

/// Tells how the filter and its nodes stand.
struct FilterDesk: Sendable {
    let filters: FilterTier

    func answer(_ caller: ControlCaller) -> ControlEnd {
        guard let filter = filters.filter else { return ControlEnd(error: "no filter is configured") }
        _ = caller.send(FilterReport(filter.figures))
        return ControlEnd()
    }
}
