import ArgumentParser

/// `figaro explain`
struct MessageExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Tell why a message is where it is, and what happens next.",
        discussion: """
            For each attempt: how its source came to be that one, what the receiver said, what that was taken for and \
            by which rule (file and line), and what was decided. For what waits: when it is tried again and from \
            where, its route (file and line) and step, which sources may be drawn and why the others may not, the \
            receiver's state, who holds it and why, and the deadline. What has ended is told from the history.

            Examples:
              figaro explain 01M3QK7B8WZ4A
              figaro explain 01M3QK7B8WZ4A --json | jq '.decisions[] | {rule, rule_place, decision}'
              figaro explain 01M3QK7B8WZ4A --all | less        (names every source)

            Exit codes: 0 told, 1 nothing is known of it or no relay answers, 78 the configuration is wrong.
            """)

    @OptionGroup var relay: RelayOption
    @Argument(help: "The message's id, as the log and the 250 reply name it.") var id: String
    @Flag(help: "Name every source, not only the first of those that share a reason.") var all = false
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
        let request = MessageExplainRequest(id: id, all: all)
        let end = try relay.ask(.message(request)) { line in
            if json {
                Terminal.say(line)
            } else if let report = JSONLine.value(MessageExplanation.self, from: line) {
                report.lines.forEach(Terminal.say)
            }
        }
        if end.unknown == true {
            Terminal.complain("nothing is known of \(Visible.text(id))")
            throw ExitCode.failure
        }
    }
}
