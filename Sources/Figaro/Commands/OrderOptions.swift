import ArgumentParser
import Delivery
import Mail

/// `--reason TEXT`: whoever changes something says why.
struct ReasonOption: ParsableArguments {
    @Option(help: ArgumentHelp("Why; the log, `list` and the trace tell it.", valueName: "text"))
    var reason: String
}

/// `--reason TEXT --for SPAN`
struct OrderOptions: ParsableArguments {
    @OptionGroup var why: ReasonOption
    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "How long, such as 30m, 2h or 5d; after it everything is as before. Without it until it is taken back.",
            valueName: "span"))
    var span: String?

    func validate() throws {
        guard let span else { return }
        guard let parsed = Units.span(span), StandingOrders.Order.spans.contains(parsed) else {
            throw ValidationError("--for is a span from 1s to 365d, such as 30m, 2h or 5d (whole numbers, no space)")
        }
    }

    var milliseconds: Int64? { span.flatMap(Units.span)?.milliseconds }
}

/// What `hold`, `release`, `close` and `reopen` of a customer are given.
struct CustomerOrder: ParsableArguments {
    @OptionGroup var relay: RelayOption
    @OptionGroup var why: ReasonOption
    @Argument(help: "The customer's name.") var name: String
    @Flag(help: "Print one JSON object.") var json = false

    /// - Parameter request: made of the customer's name and the reason.
    func give(_ request: (String, String) -> ControlRequest) throws {
        try relay.order(request(name, why.reason), json: json)
    }
}

extension RelayOption {
    /// Gives an order and tells what became of it.
    func order(_ request: ControlRequest, json: Bool) throws {
        _ = try ask(request) { line in
            if json {
                Terminal.say(line)
            } else if let report = JSONLine.value(OrderReport.self, from: line) {
                Terminal.say(Visible.text(report.said))
                for warning in report.warnings { Terminal.complain("warning: " + Visible.text(warning)) }
            }
        }
    }
}
