import ArgumentParser

/// `figaro ip …`
struct SourceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ip", abstract: "Look at the addresses that a running relay sends from, and steer them.",
        discussion: """
            Sources are named by address (203.0.113.17), network (203.0.113.0/24), source (vienna-17), range or pool \
            (vienna, main; range:main and pool:main where both have that name).

            What is drained or disabled stays so over restarts and reloads, until it is enabled or its time is over. \
            It lies on top of what the ip map says.
            """,
        subcommands: [
            List.self, Show.self, Drain.self, Disable.self, Enable.self, SourceCheckCommand.self, Forgive.self,
        ])

    /// `figaro ip list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List sources with their state and what came of them since the start.",
            discussion: """
                REFUSED counts messages that a receiver refused for whatever reason, BLAMED refusals that were about \
                the address or its network.

                Examples:
                  figaro ip list
                  figaro ip list 203.0.113.0/28
                  figaro ip list --state disabled
                  figaro ip list --json | jq -r 'select(.blamed > 10) | .address'

                Exit codes: 0 listed, 1 there is no such source or no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "Addresses, networks, sources, ranges or pools; all sources without any.") var names: [String] =
            []
        @Option(help: "Only sources in this state: active, cooling, draining, disabled, unbound, …") var state: String?
        @Option(help: "At most this many.") var limit = SourceRequest.limit
        @Flag(help: "Print one JSON object per line.") var json = false

        func validate() throws {
            if let state, SourceState(rawValue: state) == nil {
                let known = SourceState.allCases.map(\.rawValue)
                throw ValidationError(
                    "there is no state “\(state)”\(Nearest.hint(state, among: known)); these are: "
                        + known.joined(separator: ", "))
            }
            guard (1...SourceRequest.limit).contains(limit) else {
                throw ValidationError("--limit is from 1 to \(SourceRequest.limit)")
            }
        }

        func run() throws {
            let request = SourceRequest(verb: .list, names: names, state: state, limit: limit)
            let (count, end) = try relay.list(.source(request), of: SourceReport.self, json: json)
            guard !json else { return }
            if count == 0 { Terminal.complain("no source is in that state") }
            if end.more == true { Terminal.complain("and more; --limit shows them") }
        }
    }

    /// `figaro ip show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show all that is known of a source, and which receivers it rests for.",
            discussion: """
                Examples:
                  figaro ip show 203.0.113.17
                  figaro ip show vienna-17 --json | jq '.paths[] | .site'

                Exit codes: 0 shown, 1 there is no such source or no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "Addresses, networks, sources, ranges or pools.") var names: [String]
        @Flag(help: "Print one JSON object per line.") var json = false

        func run() throws {
            _ = try relay.ask(.source(SourceRequest(verb: .show, names: names))) { line in
                if json {
                    Terminal.say(line)
                } else if let report = JSONLine.value(SourceReport.self, from: line) {
                    report.lines.forEach(Terminal.say)
                }
            }
        }
    }

    /// What taking sources out of use needs, in either way.
    struct HoldOptions: ParsableArguments {
        @OptionGroup var relay: RelayOption
        @OptionGroup var order: OrderOptions
        @Argument(help: "Addresses, networks, sources, ranges or pools.") var names: [String]
        @Flag(help: "Also where a pool is left with less than its minimum_active.") var force = false
        @Flag(help: "Print one JSON object.") var json = false

        func run(_ verb: SourceRequest.Verb) throws {
            let request = SourceRequest(
                verb: verb, names: names, reason: order.why.reason, span: order.milliseconds, force: force)
            try relay.order(.source(request), json: json)
        }
    }

    /// `figaro ip drain`
    struct Drain: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin nothing new from sources; what is open or being opened finishes its message.",
            discussion: """
                Mail that would have left from there leaves from the others. Where a whole pool is drained it takes \
                the next step of its route, or waits; its trace says why.

                Examples:
                  figaro ip drain 203.0.113.17 --reason "listed, ticket 4711"
                  figaro ip drain 203.0.113.0/24 --reason "router maintenance" --for 2h

                Exit codes: 0 done, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var options: HoldOptions
        func run() throws { try options.run(.drain) }
    }

    /// `figaro ip disable`
    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Use sources no more: sessions end after the message on the wire, those being opened at once.",
            discussion: """
                Examples:
                  figaro ip disable vienna-17 --reason "address given back"
                  figaro ip disable graz --reason "uplink is down" --for 30m

                Exit codes: 0 done, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var options: HoldOptions
        func run() throws { try options.run(.disable) }
    }

    /// `figaro ip enable`
    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take back drain and disable; mail that waited for these sources goes at once.",
            discussion: """
                What the ip map itself says of a source stays; change the file and reload for that.

                Examples:
                  figaro ip enable 203.0.113.17 --reason "delisted, ticket 4711"
                  figaro ip enable pool:main --reason "maintenance is over"

                Exit codes: 0 done, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var why: ReasonOption
        @Argument(help: "Addresses, networks, sources, ranges or pools.") var names: [String]
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(
                .source(SourceRequest(verb: .enable, names: names, reason: why.reason)), json: json)
        }
    }

    /// `figaro ip forgive`
    struct Forgive: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget that receivers refused sources, or complained of them.",
            discussion: """
                They do not rest any more, and mail that waited for them goes at once. The breaker of a range stays; \
                `figaro site forget` closes it. `figaro ip show` tells who refused a source, and why.

                Examples:
                  figaro ip forgive 203.0.113.17 --reason "delisted, ticket 4711"
                  figaro ip forgive vienna --site office365 --reason "Microsoft lifted the block"

                Exit codes: 0 done (also when nothing was held against them), 1 refused or no relay answers, 64 wrong \
                usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var why: ReasonOption
        @Argument(help: "Addresses, networks, sources, ranges or pools.") var names: [String]
        @Option(help: "Only at this receiver, as `figaro site list` names it; all of them otherwise.")
        var site: String?
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(
                .source(SourceRequest(verb: .forgive, names: names, reason: why.reason, site: site)), json: json)
        }
    }
}
