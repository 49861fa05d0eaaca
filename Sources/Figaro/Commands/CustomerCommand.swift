import ArgumentParser

/// `figaro customer …`
struct CustomerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "customer",
        abstract: "Add and change customers, look at what receivers make of their mail, hold them.",
        discussion: """
            A customer whose mail burns sources (receivers took mail from them, and refuse them since) beyond \
            `containment:` is held by the relay itself: nothing of it is sent, all that it sends is accepted and kept, \
            until somebody releases it.
            """,
        subcommands: [
            List.self, Show.self, Add.self, Set.self, Hold.self, Release.self, Close.self, Reopen.self, Remove.self,
        ])

    /// `figaro customer list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List customers: held ones first, then closed ones.",
            discussion: """
                DELIVERED and UNKNOWN (recipients that receivers do not know, in percent) count since the relay \
                started, as do refusals for content and for the sender's domain. BURNED are sources that rest \
                because of its mail.

                Examples:
                  figaro customer list
                  figaro customer list --json | jq -r 'select(.state == "held") | "\\(.name) \\(.reason)"'

                Exit codes: 0 listed, 1 no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Flag(help: "Print one JSON object per line.") var json = false

        func run() throws {
            _ = try relay.list(.customer(CustomerRequest(verb: .list)), of: CustomerReport.self, json: json)
        }
    }

    /// `figaro customer show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one customer: why it is held, and which receivers it burned sources at.",
            discussion: """
                Examples:
                  figaro customer show acme
                  figaro customer show acme --json | jq '.burned[]'

                Exit codes: 0 shown, 1 there is no such customer or no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "The customer's name.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            _ = try relay.ask(.customer(CustomerRequest(verb: .show, name: name))) { line in
                if json {
                    Terminal.say(line)
                } else if let report = JSONLine.value(CustomerReport.self, from: line) {
                    report.lines.forEach(Terminal.say)
                }
            }
        }
    }

    /// `figaro customer hold`
    struct Hold: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send nothing of a customer: what it sends is accepted and kept.",
            discussion: """
                A message on the wire ends; all else is held in the queue at once. It stays so over restarts, until \
                it is released. Held mail does not grow older.

                Example:
                  figaro customer hold acme --reason "their web shop was broken into, ticket 4713"

                Exit codes: 0 done, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var order: CustomerOrder

        func run() throws { try order.give { .customer(CustomerRequest(verb: .hold, name: $0, reason: $1)) } }
    }

    /// `figaro customer release`
    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a held customer's mail go again, and start its burn budget anew.",
            discussion: """
                What was held one by one with `figaro queue hold` stays held. Look through the mail first: \
                `figaro queue list --customer NAME`; `figaro queue delete` or `bounce` what should not go.

                Example:
                  figaro customer release acme --reason "cleaned up, ticket 4713"

                Exit codes: 0 done, 1 it was not held or no relay answers, 64 wrong usage, 78 the configuration is \
                wrong.
                """)

        @OptionGroup var order: CustomerOrder

        func run() throws { try order.give { .customer(CustomerRequest(verb: .release, name: $0, reason: $1)) } }
    }
}
