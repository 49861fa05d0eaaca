import ArgumentParser
import Mail

/// `figaro top`
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Watch a running relay: rates, receivers, sources, refusals, queue, memory.",
        discussion: """
            The screen is drawn anew every two seconds; q or Ctrl-C ends it. Where the output is no terminal, each \
            report is a line.

            Rates are of the seconds since the report before: accepted messages, and recipients delivered, deferred \
            and failed. Receivers and sources are the busiest. Of the queue, what is in flight is with a session or \
            about to be, what waits is in the store for its time, and what is held waits for an operator.

            Examples:
              figaro top
              figaro top --interval 10s
              figaro top --once
              figaro top --json | jq -c '{time, accepted, delivered, queue_messages}'

            Exit codes: 0 ended, 1 no relay answers or it went away, 64 wrong usage, 78 the configuration is wrong.
            """)

    @OptionGroup var relay: RelayOption
    @Option(help: "Between two reports, from 200ms to 60s.") var interval = "2s"
    @Flag(help: "One report, of one interval, and no screen.") var once = false
    @Flag(help: "Print one JSON object for each report, and no screen.") var json = false

    func validate() throws {
        guard let span = Units.span(interval), TopRequest.intervals.contains(Int(span.milliseconds)) else {
            throw ValidationError("--interval is from 200ms to 60s, such as 500ms or 10s")
        }
    }

    func run() throws {
        let milliseconds = Units.span(interval).map { Int($0.milliseconds) } ?? 2_000
        let terminal = once || json ? nil : TopTerminal.open()
        defer { terminal?.restore() }
        do {
            _ = try relay.ask(.top(TopRequest(interval: milliseconds, count: once ? 1 : nil))) { line in
                guard let report = JSONLine.value(TopReport.self, from: line) else { return }
                if let terminal {
                    terminal.show(report)
                } else if json {
                    Terminal.say(line)
                } else if once {
                    TopScreen(report: report).lines(width: .max, height: 60).forEach(Terminal.say)
                } else {
                    Terminal.say(TopScreen(report: report).line)
                }
            }
        } catch {
            terminal?.restore()
            throw error
        }
    }
}
