import ArgumentParser

/// Where a running relay listens for commands.
struct RelayOption: ParsableArguments {
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The relay's control socket, instead of the one in its configuration.") var socket: String?

    /// Asks the relay; prints why not, and throws the exit code.
    func ask(_ request: ControlRequest, _ line: (String) -> Void) throws -> ControlEnd {
        let path: String
        if let socket {
            path = socket
        } else {
            let problems = Problems()
            guard let node = NodeConfigurationFile.load(config.path, problems) else {
                throw BadConfiguration(problems: problems.list).report()
            }
            path = node.control
        }
        do throws(ControlClient.NoAnswer) {
            return try ControlClient.ask(request, at: path, line)
        } catch {
            Terminal.complain(Visible.text(error.description))
            throw ExitCode.failure
        }
    }
}

/// `figaro queue …`
struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Look at what waits in a running relay.", subcommands: [List.self, Show.self])

    /// `figaro queue list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List messages that have not ended, oldest first.",
            discussion: """
                Examples:
                  figaro queue list --domain example.com
                  figaro queue list --sender newsletter@shop.example --limit 20
                  figaro queue list --customer acme --json | jq -r .id

                Exit codes: 0 listed (also when nothing waits), 1 no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Option(help: "Only messages that wait for this recipient domain.") var domain: String?
        @Option(help: "Only messages of this customer.") var customer: String?
        @Option(help: "Only messages of this sender or sender domain; an empty text means the null sender.")
        var sender: String?
        @Option(help: "At most this many messages.") var limit = 100
        @Flag(help: "Print one JSON object per line.") var json = false

        func validate() throws {
            guard (1...ControlRequest.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(ControlRequest.limit)")
            }
        }

        func run() throws {
            let request = ControlRequest(
                command: .queueList, domain: domain, customer: customer, sender: sender, limit: limit)
            var count = 0
            let end = try relay.ask(request) { line in
                count += 1
                if json {
                    Terminal.say(line)
                } else if let report = JSONLine.value(QueueReport.self, from: line) {
                    Terminal.say(report.summary)
                }
            }
            if !json {
                if count == 0 { Terminal.complain("nothing waits") }
                if end.more == true { Terminal.complain("and more; --limit shows them") }
            }
        }
    }

    /// `figaro queue show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one message that has not ended: what waits, for what, until when.",
            discussion: """
                Example:
                  figaro queue show 01M3QK7B8WZ4A

                Exit codes: 0 shown, 1 it is not in the queue or no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "The message's id, as the log and the 250 reply name it.") var id: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            let end = try relay.ask(ControlRequest(command: .queueShow, id: id)) { line in
                if json {
                    Terminal.say(line)
                } else if let report = JSONLine.value(QueueReport.self, from: line) {
                    report.lines.forEach(Terminal.say)
                }
            }
            if end.unknown == true {
                Terminal.complain("\(Visible.text(id)) is not in the queue; `figaro trace` tells what became of it")
                throw ExitCode.failure
            }
        }
    }
}

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
        let end = try relay.ask(ControlRequest(command: .trace, id: id)) { line in
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
