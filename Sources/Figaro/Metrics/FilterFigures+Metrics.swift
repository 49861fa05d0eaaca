import Console
import Filtering

extension FilterFigures {
    /// Counts begin anew where a reload changes the filter's settings, as after a restart.
    func write(to page: inout Exposition) {
        page.family(
            "figaro_filter_checks_total", .counter,
            "Messages checked before they were accepted, by what the filters said; `unavailable` is what a 451 answers "
                + "unless the operator chose otherwise.")
        for result in results { page.sample("figaro_filter_checks_total", result.count, ["result": result.word]) }
        page.histogram(
            "figaro_filter_seconds", "Time of a check, from its question to its verdict.", bounds: Self.bounds,
            counts: times, sum: sum)
        page.single("figaro_filter_hedges_total", .counter, "Checks asked a second time of another node.", hedges)
        page.family("figaro_filter_node_checks_total", .counter, "Questions to a node.")
        for node in nodes { page.sample("figaro_filter_node_checks_total", node.checks, node.labels) }
        page.family("figaro_filter_node_failures_total", .counter, "Questions that it gave no answer to that counts.")
        for node in nodes { page.sample("figaro_filter_node_failures_total", node.failed, node.labels) }
        page.family("figaro_filter_node_busy", .gauge, "Questions that it has at this moment.")
        for node in nodes { page.sample("figaro_filter_node_busy", node.busy, node.labels) }
        page.family("figaro_filter_node_aside", .gauge, "Whether it is set aside after failures: 1 or 0.")
        for node in nodes { page.sample("figaro_filter_node_aside", node.isAside ? 1 : 0, node.labels) }
    }
}

extension FilterFigures.Node {
    fileprivate var labels: KeyValuePairs<String, String> {
        ["node": name, "kind": isScanner ? "clamd" : "rspamd"]
    }
}
