extension MessageExplanation {
    /// All of it for a person, safe to show.
    var lines: [String] {
        var lines = [
            "message   \(id)" + (sender.map { ", from <\($0)>" } ?? "") + (customer.map { ", customer \($0)" } ?? "")
                + (size.map { ", \($0) octets" } ?? ""),
            "arrived   \(arrived ?? "before the history begins")",
        ]
        lines += (filter ?? []).map { "filter    \($0)" }
        lines += decisions.flatMap(\.lines)
        lines += orders.map { "order     \($0)" }
        lines += ends.map {
            "ended     \(Self.shown($0.recipients)) \($0.how) at \($0.time)" + ($0.reason.map { ": \($0)" } ?? "")
        }
        lines += notices.map { "notice    \($0)" }
        if !untold.isEmpty { lines.append("untold    its sender is yet to hear of \(Self.shown(untold))") }
        lines += parts.flatMap(\.lines)
        if parts.isEmpty { lines.append("next      nothing: every recipient has ended") }
        return lines.map { Visible.text($0) }
    }

    fileprivate static func shown(_ recipients: [String]) -> String {
        let shown = recipients.prefix(5).map { "<\($0)>" }.joined(separator: " ")
        return recipients.count > 5 ? "\(shown) and \(recipients.count - 5) more" : shown
    }
}

extension MessageExplanation.Decision {
    fileprivate var lines: [String] {
        var lines = ["attempt   \(time) for \(MessageExplanation.shown(recipients))"]
        if let source {
            let address = sourceAddress.map { " (\($0))" } ?? ""
            lines.append("          from \(source)\(address)" + (sourceWhy.map { ": \($0)" } ?? ""))
        }
        lines.append("          " + (host.map { "to \($0), " } ?? "") + "\(phase): \(said)")
        if let cause {
            let by = rule.map { ", by rule \($0)" + (rulePlace.map { " (\($0))" } ?? "") } ?? ""
            lines.append("          cause \(cause)\(by)")
        }
        lines.append(
            "          decided: \(decision)" + (why.map { ", \($0)" } ?? "") + (next.map { ", at \($0)" } ?? ""))
        return lines
    }
}

extension MessageExplanation.Part {
    fileprivate var lines: [String] {
        var lines = ["waiting   \(domain), \(state), \(rounds) rounds used, \(MessageExplanation.shown(recipients))"]
        lines.append("next      \(next)" + (nextAt.map { ", at \($0)" } ?? ""))
        if let held { lines.append("held      since \(held.at) by \(held.by): \(held.reason)") }
        lines.append(
            deadline.map { "deadline  \($0): what is not delivered by then fails, and its sender is told" }
                ?? "deadline  none while it is held")
        if let relay { lines.append("relay     \(relay)") }
        if let firstRefusal { lines.append("quoted    \(firstRefusal)") }
        if !tried.isEmpty { lines.append("refused   from \(tried.joined(separator: ", "))") }
        if let pinned { lines.append("keeps to  \(pinned)") }
        guard let way else { return lines }
        if let unknown = way.unknown { return lines + ["hosts     \(unknown)"] }
        return lines + way.wayLines(at: "where it is")
    }
}
