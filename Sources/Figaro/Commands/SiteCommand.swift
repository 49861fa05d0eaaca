import ArgumentParser

/// `figaro site …`
struct SiteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site", abstract: "Look at the receivers that a running relay sends to, and steer them.",
        discussion: """
            A site is a receiver: the hosts that take mail, for however many domains. It is named by one of its hosts, \
            as traces name it (mx1.provider.example), by the name of its limits in `sites:` (google), or by a \
            recipient domain; suspending a domain keeps back that domain's mail alone.
            """,
        subcommands: [List.self, Show.self, Suspend.self, Resume.self, Forget.self])

    /// `figaro site list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List receivers: suspended ones first, then those with most sessions and mail in memory.",
            discussion: """
                Examples:
                  figaro site list
                  figaro site list --blocked
                  figaro site list --json | jq -r 'select(.cooling > 0) | "\\(.name) \\(.cooling)"'

                Exit codes: 0 listed (also when there is none), 1 no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Flag(help: "Only those that may not be sent to now.") var blocked = false
        @Option(help: "At most this many.") var limit = 100
        @Flag(help: "Print one JSON object per line.") var json = false

        func validate() throws {
            guard (1...SiteRequest.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(SiteRequest.limit)")
            }
        }

        func run() throws {
            let (count, end) = try relay.list(
                .site(SiteRequest(verb: .list, blocked: blocked, limit: limit)), of: SiteReport.self, json: json)
            guard !json else { return }
            if count == 0 { Terminal.complain(blocked ? "every site may be sent to" : "no site is known yet") }
            if end.more == true { Terminal.complain("and more; --limit shows them") }
        }
    }

    /// `figaro site show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a receiver: sessions, limits, hosts set aside, and what its hosts offered.",
            discussion: """
                Examples:
                  figaro site show mx1.provider.example
                  figaro site show google
                  figaro site show example.com --json | jq '.hosts[].addresses[]'

                Exit codes: 0 shown, 1 nothing is known of it at this moment or no relay answers, 78 the configuration \
                is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "A host, the name of limits in `sites:`, or a recipient domain.") var name: String
        @Flag(help: "Print one JSON object per line.") var json = false

        func run() throws {
            let end = try relay.ask(.site(SiteRequest(verb: .show, name: name))) { line in
                if json {
                    Terminal.say(line)
                } else if let report = JSONLine.value(SiteReport.self, from: line) {
                    report.lines.forEach(Terminal.say)
                }
            }
            if end.unknown == true {
                Terminal.complain(
                    "nothing is known of \(Visible.text(name)) at this moment; "
                        + "`figaro ipmap explain` asks for its hosts"
                )
                throw ExitCode.failure
            }
        }
    }

    /// `figaro site suspend`
    struct Suspend: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send nothing to a receiver: its mail waits, and says why.",
            discussion: """
                A message on the wire ends, idle sessions are closed. It stays so over restarts, until it is resumed \
                or its time is over. Mail still ends at its max_age.

                Examples:
                  figaro site suspend mx1.provider.example --reason "they asked us to stop" --for 1h
                  figaro site suspend google --reason "all refused since 14:00, ticket 4712"
                  figaro site suspend example.com --reason "wrong MX, their admin mends it" --for 4h

                Exit codes: 0 done, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var order: OrderOptions
        @Argument(help: "A host, the name of limits in `sites:`, or a recipient domain.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            let request = SiteRequest(
                verb: .suspend, name: name, reason: order.why.reason, span: order.milliseconds)
            try relay.order(.site(request), json: json)
        }
    }

    /// `figaro site resume`
    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a suspension back: mail that waits goes now.",
            discussion: """
                Example:
                  figaro site resume google --reason "solved, ticket 4712"

                Exit codes: 0 done, 1 it was not suspended or no relay answers, 64 wrong usage, 78 the configuration \
                is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var why: ReasonOption
        @Argument(help: "The name that was suspended; `figaro site list --blocked` tells it.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(.site(SiteRequest(verb: .resume, name: name, reason: why.reason)), json: json)
        }
    }

    /// `figaro site forget`
    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Forget what a receiver taught: refused sources, breakers, rates, greylist pins, hosts set aside.",
            discussion: """
                Its next mail goes as to a receiver that was never heard of, and what waits for it goes now. \
                `figaro site show` tells what is known; `figaro ip forgive` forgets what is known of one source.

                Examples:
                  figaro site forget google --reason "they lifted the block, ticket 4713"
                  figaro site forget mx1.provider.example --reason "their admin reset the limits"

                Exit codes: 0 done, 1 nothing is known of it or no relay answers, 64 wrong usage, 78 the configuration \
                is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var why: ReasonOption
        @Argument(help: "A receiver as `figaro site list` names it, a host, or a recipient domain.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(.site(SiteRequest(verb: .forget, name: name, reason: why.reason)), json: json)
        }
    }
}
