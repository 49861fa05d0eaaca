import ArgumentParser

/// `figaro trace`
struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Tell the life of a message: accepted, each attempt and why, its end.",
        discussion: """
            Each attempt names its source, host, phase, the receiver's reply, what it was taken for and by which rule, \
            and what was decided.

            Examples:
              figaro trace 01M3QK7B8WZ4A
              figaro trace 01M3QK7B8WZ4A --json | jq -r 'select(.event == "attempt") | .reply'
              figaro queue list --json --state held | jq -r .id | xargs figaro trace

            Exit codes: 0 told, 1 nothing is known of one of them or no relay answers, 78 the configuration is wrong.
            """)

    @OptionGroup var relay: RelayOption
    @Argument(help: "The message's id, as the log and the 250 reply name it; several for one after the other.")
    var ids: [String]
    @Flag(help: "Print one JSON object per line.") var json = false

    func run() throws {
        var isAnyUnknown = false
        for (index, id) in ids.enumerated() {
            if !json, ids.count > 1 { Terminal.say("\(index > 0 ? "\n" : "")message \(Visible.text(id))") }
            let end = try relay.ask(.trace(TraceRequest(id: id))) { line in
                if json {
                    Terminal.say(line)
                } else if let report = JSONLine.value(TraceReport.self, from: line) {
                    report.lines.forEach(Terminal.say)
                }
            }
            guard end.unknown == true else { continue }
            Terminal.complain("nothing is known of \(Visible.text(id))")
            isAnyUnknown = true
        }
        if isAnyUnknown { throw ExitCode.failure }
    }
}
