import ArgumentParser
import Mail

/// The filters that are the same for every command on the queue.
struct QueueSelectionOptions: ParsableArguments {
    @Option(help: "Only at this receiver, as list and trace name it: its first MX host.") var site: String?
    @Option(name: .customLong("relay"), help: "Only what waits for this relay, by its name in the ip map.")
    var waitingFor: String?
    @Option(help: "Only for this recipient domain.") var domain: String?
    @Option(help: "Only from this sender or sender domain; an empty text means the null sender.") var sender: String?
    @Option(help: "Only for this recipient.") var recipient: String?
    @Option(help: "Only of this customer.") var customer: String?
    @Option(help: "Only what was last tried from this source, or from one of this pool.") var source: String?
    @Option(
        help: ArgumentHelp("Only what was accepted at least so long ago: 30m, 2h, 3d.", valueName: "age"),
        transform: QueueSelectionOptions.span)
    var olderThan: Int64?
    @Option(
        help: ArgumentHelp("Only what was accepted less than so long ago.", valueName: "age"),
        transform: QueueSelectionOptions.span)
    var newerThan: Int64?
    @Option(help: "Only in this state: waiting, due, in-flight or held.") var state: String?
    @Option(help: "Only with this text in the last reply.") var reply: String?

    func validate() throws {
        let names = QueueDesk.states.map(\.name)
        guard state.map({ names.contains($0) }) ?? true else {
            throw ValidationError("--state is one of \(names.joined(separator: ", "))")
        }
    }

    func selection(_ ids: [String] = []) -> QueueSelection {
        QueueSelection(
            ids: ids.isEmpty ? nil : ids, site: site, domain: domain, sender: sender, recipient: recipient,
            customer: customer, source: source, relay: waitingFor, olderThan: olderThan, newerThan: newerThan,
            state: state, reply: reply)
    }

    /// Milliseconds.
    private static func span(_ text: String) throws -> Int64 {
        guard let span = Units.span(text) else {
            throw ValidationError("“\(text)” is no span such as 30s, 5m, 2h or 3d (whole numbers, no space)")
        }
        return span.milliseconds
    }
}
