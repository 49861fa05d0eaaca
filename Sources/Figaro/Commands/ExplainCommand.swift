import ArgumentParser

/// `figaro ipmap explain`
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract:
            "Tell how a message would go at this moment: route, receiver, hosts, limits, and which sources are free.",
        discussion: """
            A running relay is asked, with what it knows: hosts that are set aside, sources that a receiver refused or \
            that an operator took out of use. The hosts are resolved as for a message; nothing is sent.

            Examples:
              figaro ipmap explain --sender news@shop.example --recipient someone@example.com
              figaro ipmap explain --sender "" --recipient someone@example.com        (the route of notices)
              figaro ipmap explain --sender a@b.example --recipient c@d.example --all --json | jq '.others[]'

            Exit codes: 0 told, also where it could not go now, 1 a wrong address or no relay answers, 78 the \
            configuration is wrong.
            """)

    @OptionGroup var relay: RelayOption
    @Option(help: "The envelope's sender; an empty text is <>.") var sender: String
    @Option(help: "One recipient.") var recipient: String
    @Option(help: "Whose mail it is; must be a customer of the relay.") var customer: String?
    @Flag(help: "Name every source, not only the first of those that share a reason.") var all = false
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
        let request = ExplainRequest(sender: sender, recipient: recipient, customer: customer, all: all)
        _ = try relay.ask(.explain(request)) { line in
            if json {
                Terminal.say(line)
            } else if let report = JSONLine.value(ExplainReport.self, from: line) {
                report.lines.forEach(Terminal.say)
            }
        }
    }
}
