import ArgumentParser

/// What the commands that change the queue have in common.
struct QueueSteeringOptions: ParsableArguments {
    @OptionGroup var relay: RelayOption
    @OptionGroup var filters: QueueSelectionOptions
    @Argument(help: "Messages, by their ids.") var ids: [String] = []
    @Flag(help: "Everything that waits; needed where neither ids nor filters are given.") var all = false
    @Flag(help: "Change nothing; tell how much would be changed.") var dryRun = false
    @Option(help: "Why, for the history of each message and for the log.") var reason: String?
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        guard all || filters.selection(ids) != QueueSelection() else {
            throw ValidationError("name messages or a filter; --all means everything that waits")
        }
        guard ids.count <= QueueSelection.idLimit else {
            throw ValidationError("at most \(QueueSelection.idLimit) ids at a time; `xargs -n 1000` splits a list")
        }
    }

    func run(_ verb: QueueRequest.Verb) throws {
        let request = QueueRequest(
            verb: verb, selection: filters.selection(ids), reason: reason, dryRun: dryRun ? true : nil,
            all: all ? true : nil)
        var told: SteeringReport?
        _ = try relay.ask(.queue(request)) { line in
            told = JSONLine.value(SteeringReport.self, from: line)
            if json { Terminal.say(line) }
        }
        guard let told else { throw ExitCode.failure }
        if !json { told.lines.forEach(Terminal.say) }
        // Whoever names messages wants to hear that they are not there.
        if !ids.isEmpty, told.messages == 0 { throw ExitCode.failure }
    }
}

extension QueueCommand {
    private static let exits = """
        Exit codes: 0 done (also when nothing fits), 1 no relay answers, it refuses, or none of the messages that were \
        named could be changed, 64 wrong usage, 78 the configuration is wrong.
        """

    /// `figaro queue hold`
    struct HoldCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "hold", abstract: "Keep messages from being delivered until they are released.",
            discussion: """
                Held mail does not expire, and a restart does not release it. What is on the wire at this moment may \
                still be delivered; if it fails, it is held.

                Examples:
                  figaro queue hold 01M3QK7B8WZ4A --reason "looks like phishing"
                  figaro queue hold --sender shop.example --reason "wrong prices" --dry-run
                  figaro queue hold --site mx.example.com --reason "their postmaster asked"

                \(QueueCommand.exits)
                """)

        @OptionGroup var options: QueueSteeringOptions
        func run() throws { try options.run(.hold) }
    }

    /// `figaro queue release`
    struct ReleaseCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "release", abstract: "Let held messages go; they are due at once.",
            discussion: """
                A released message has as much time left as it had when it was held.

                Examples:
                  figaro queue release --sender shop.example --reason "prices are right now"
                  figaro queue release --all

                \(QueueCommand.exits)
                """)

        @OptionGroup var options: QueueSteeringOptions
        func run() throws { try options.run(.release) }
    }

    /// `figaro queue retry`
    struct RetryCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "retry", abstract: "Try messages now that would wait longer.",
            discussion: """
                Hosts that did not answer are tried again as well, a few messages first. Limits of the configuration \
                stay, and held mail is not tried: release it.

                Examples:
                  figaro queue retry --site mx.example.com
                  figaro queue retry --reply "greylist" --older-than 10m

                \(QueueCommand.exits)
                """)

        @OptionGroup var options: QueueSteeringOptions
        func run() throws { try options.run(.retry) }
    }

    /// `figaro queue delete`
    struct DeleteCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "End messages without telling anybody.",
            discussion: """
                It cannot be undone. Senders hear nothing: `figaro queue bounce` tells them. What is on the wire at \
                this moment is held when it fails.

                Examples:
                  figaro queue delete 01M3QK7B8WZ4A --reason "sent by mistake, the customer asked"
                  figaro queue delete --state held --customer acme --older-than 7d --reason "nobody wants it" --dry-run
                  figaro queue delete --recipient old@example.com --reason "the mailbox is gone"

                \(QueueCommand.exits)
                """)

        @OptionGroup var options: QueueSteeringOptions
        func run() throws { try options.run(.delete) }
    }

    /// `figaro queue bounce`
    struct BounceCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "bounce", abstract: "End messages as failed; their senders are told, with the reason.",
            discussion: """
                It cannot be undone. The reason is what senders read. What is on the wire at this moment is held when \
                it fails.

                Examples:
                  figaro queue bounce --domain dead.example --reason "the domain is gone for good"
                  figaro queue bounce --state held --sender shop.example --reason "we do not send this"

                \(QueueCommand.exits)
                """)

        @OptionGroup var options: QueueSteeringOptions
        func run() throws { try options.run(.bounce) }
    }
}
