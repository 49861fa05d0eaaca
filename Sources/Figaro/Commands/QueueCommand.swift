import ArgumentParser

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
            guard (1...QueueRequest.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(QueueRequest.limit)")
            }
        }

        func run() throws {
            let request = QueueRequest(
                verb: .list, domain: domain, customer: customer, sender: sender, limit: limit)
            var count = 0
            let end = try relay.ask(.queue(request)) { line in
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
            let end = try relay.ask(.queue(QueueRequest(verb: .show, id: id))) { line in
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
