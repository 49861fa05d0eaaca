import ArgumentParser
import Mail

extension RepliesCommand {
    /// `figaro replies unknown`
    struct Unknown: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List what receivers said and no rule has read, most frequent first.",
            discussion: """
                Each line has, separated by tabs: how often, what it was taken for by its status, code or phase, the \
                phase, the site that said it last, and the reply. Replies that differ only in addresses, hosts, \
                numbers and ids are one. What a new rule reads leaves the list.

                Counts survive restarts; a crash may lose those of the last half minute.

                Examples:
                  figaro replies unknown
                  figaro replies unknown --json | jq -r .reply | figaro replies classify --rules new.yaml

                Exit codes: 0 listed (also when there is none), 1 no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Option(help: "At most this many.") var limit = 100
        @Flag(help: "Print one JSON object per line.") var json = false

        func validate() throws {
            guard (1...UnruledReplies.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(UnruledReplies.limit)")
            }
        }

        func run() throws {
            var count = 0
            let end = try relay.ask(.replies(RepliesRequest(limit: limit))) { line in
                count += 1
                if json {
                    Terminal.say(line)
                } else if let entry = JSONLine.value(UnruledReplies.Entry.self, from: line) {
                    let columns = [String(entry.count), entry.cause, entry.phase, entry.site, entry.reply]
                    Terminal.say(columns.map { Visible.text($0) }.joined(separator: "\t"))
                }
            }
            if !json {
                if count == 0 { Terminal.complain("every reply was read by a rule") }
                if end.more == true { Terminal.complain("and more; --limit shows them") }
            }
        }
    }
}
