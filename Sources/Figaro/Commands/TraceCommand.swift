import ArgumentParser

/// `figaro trace`
struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Tell the life of one message: accepted, each attempt and why, its end.",
        discussion: """
            Each attempt names its source, host, phase, the receiver's reply, what it was taken for and by which rule, \
            and what was decided.

            Examples:
              figaro trace 01M3QK7B8WZ4A
              figaro trace 01M3QK7B8WZ4A --json | jq -r 'select(.event == "attempt") | .reply'

            Exit codes: 0 told, 1 nothing is known of it or no relay answers, 78 the configuration is wrong.
            """)

    @OptionGroup var relay: RelayOption
    @Argument(help: "The message's id, as the log and the 250 reply name it.") var id: String
    @Flag(help: "Print one JSON object per line.") var json = false

    func run() throws {
        let end = try relay.ask(.trace(TraceRequest(id: id))) { line in
            if json {
                Terminal.say(line)
            } else if let report = JSONLine.value(TraceReport.self, from: line) {
                report.lines.forEach(Terminal.say)
            }
        }
        if end.unknown == true {
            Terminal.complain("nothing is known of \(Visible.text(id))")
            throw ExitCode.failure
        }
    }
}
