import ArgumentParser

/// `figaro queue …`
struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Look at what waits in a running relay, and steer it.",
        discussion: """
            Every command takes the same filters, and means what fits all of them. What changes mail takes --dry-run, \
            which only counts, and --reason, which stands in the history of each message (`figaro trace`) and in the \
            log together with who asked.

            Examples:
              figaro queue summary
              figaro queue list --site mx.example.com --state held
              figaro queue hold --customer acme --newer-than 1h --reason "newsletter with a broken link" --dry-run
              figaro queue release --customer acme --reason "they said to send it"
            """,
        subcommands: [
            List.self, Show.self, Summary.self, HoldCommand.self, ReleaseCommand.self, RetryCommand.self,
            DeleteCommand.self, BounceCommand.self,
        ])

    /// `figaro queue list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List messages that have not ended, oldest first.",
            discussion: """
                A line has the id, the age, the state (waiting, due, in flight, held), sender, customer, recipients, \
                the receiver, when it is tried next, and the last reply or why it is held.

                Examples:
                  figaro queue list --domain example.com
                  figaro queue list --sender newsletter@shop.example --limit 20
                  figaro queue list --reply "5.7.1" --older-than 2h
                  figaro queue list --customer acme --json | jq -r .id

                Exit codes: 0 listed (also when nothing waits), 1 no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var filters: QueueSelectionOptions
        @Option(help: "At most this many messages.") var limit = 100
        @Flag(help: "Print one JSON object per line.") var json = false

        func validate() throws {
            guard (1...QueueRequest.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(QueueRequest.limit)")
            }
        }

        func run() throws {
            let request = QueueRequest(verb: .list, selection: filters.selection(), limit: limit)
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
            let request = QueueRequest(verb: .show, selection: QueueSelection(ids: [id]))
            let end = try relay.ask(.queue(request)) { line in
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

    /// `figaro queue summary`
    struct Summary: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell what waits by receiver and by customer: how much, how old, why, and what comes next.",
            discussion: """
                Examples:
                  figaro queue summary
                  figaro queue summary --older-than 4h --limit 5
                  figaro queue summary --json | jq -r 'select(.kind == "site") | [.name, .recipients] | @tsv'

                Exit codes: 0 told, 1 no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var filters: QueueSelectionOptions
        @Option(help: "At most this many receivers and customers, those with most recipients.") var limit = 20
        @Flag(help: "Print one JSON object per line.") var json = false

        func validate() throws {
            guard (1...QueueRequest.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(QueueRequest.limit)")
            }
        }

        func run() throws {
            let request = QueueRequest(verb: .summary, selection: filters.selection(), limit: limit)
            var kind: SummaryReport.Kind?
            let end = try relay.ask(.queue(request)) { line in
                if json { return Terminal.say(line) }
                guard let report = JSONLine.value(SummaryReport.self, from: line) else { return }
                if report.kind != kind, report.kind != .total { Terminal.say("\nby \(report.kind.rawValue)") }
                kind = report.kind
                report.lines.forEach(Terminal.say)
            }
            if end.more == true, !json { Terminal.complain("and more; --limit shows them") }
        }
    }
}
