import ArgumentParser

/// `figaro filter`
struct FilterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "filter", abstract: "Show what the filter found since the start, and how its nodes stand.",
        discussion: """
            A node that fails is set aside: it is asked nothing until its pause is over and a ping is answered, and \
            then gets a share that grows for some seconds. Where all are set aside, all are asked.

            Examples:
              figaro filter
              figaro filter --json | jq -r '.nodes[] | select(.state != "in use") | .name'

            Exit codes: 0 shown, 1 no relay answers or it has no filter, 78 the configuration is wrong.
            """)

    @OptionGroup var relay: RelayOption
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
        _ = try relay.ask(.filter(FilterRequest())) { line in
            if json {
                Terminal.say(line)
            } else if let report = JSONLine.value(FilterReport.self, from: line) {
                for line in report.lines { Terminal.say(Visible.text(line)) }
            }
        }
    }
}
