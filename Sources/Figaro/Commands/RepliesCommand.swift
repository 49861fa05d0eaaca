import ArgumentParser
import Delivery
import Glibc
import Mail

/// `figaro replies …`
struct RepliesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replies", abstract: "See what receivers' replies are taken for, and by which rule.",
        subcommands: [Classify.self, Test.self, Unknown.self])

    /// Which rules are meant.
    struct RulesOption: ParsableArguments {
        @OptionGroup var config: ConfigurationOption
        @Option(help: "A file of rules, instead of the one that the configuration names.") var rules: String?

        /// Prints what is wrong with the file and throws the exit code.
        func load() throws -> ReplyRules {
            let problems = Problems()
            var path = rules
            if path == nil {
                guard let node = NodeConfigurationFile.load(config.path, problems) else {
                    throw BadConfiguration(problems: problems.list).report()
                }
                path = node.replies
            }
            guard let rules = ReplyRuleFile.load(path, problems) else {
                throw BadConfiguration(problems: problems.list).report()
            }
            return rules
        }
    }

    /// `figaro replies classify`
    struct Classify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read replies from standard input and tell what each is taken for.",
            discussion: """
                A line is a reply: its code, its enhanced status if it has one, its text. For each line one is \
                printed: cause, rule and decision, separated by tabs. The decision is the one for a message in its \
                first round.

                Causes: source (our address), range (its network), greylist, volume, host, mailbox, recipient, \
                domain, content, auth, size, protocol, tls, unknown. A line that is no reply reads as protocol, a \
                positive reply as accepted.

                Examples:
                  echo '550 5.7.1 Client host [192.0.2.7] blocked using zen.spamhaus.org' | figaro replies classify
                  figaro replies classify --phase banner --site mx.example.net < replies.txt

                Exit codes: 0 all lines were read, 1 standard input cannot be read, 78 the rules are wrong.
                """)

        @OptionGroup var rules: RulesOption
        @Option(
            help: ArgumentHelp(
                "Where in the dialogue they were said.",
                discussion: "One of \(Phase.allCases.map(\.description).joined(separator: ", ")).", valueName: "phase"))
        var phase: String?
        @Option(help: ArgumentHelp("Whose replies they are: a site, or a host's name.", valueName: "site"))
        var site: String?

        func validate() throws {
            guard phase == nil || knownPhase != nil else {
                throw ValidationError(
                    "--phase is one of \(Phase.allCases.map(\.description).joined(separator: ", "))")
            }
        }

        private var knownPhase: Phase? { phase.flatMap { name in Phase.allCases.first { $0.description == name } } }

        func run() throws {
            let rules = try rules.load()
            let site = site?.lowercased()
            var lines = ReplyLines()
            var output = ""
            do throws(ReplyLines.Unreadable) {
                try lines.read(STDIN_FILENO) { line in
                    output += classify(line, rules, knownPhase, site) + "\n"
                } pause: {
                    if !output.isEmpty { Terminal.say(output.dropLast().description) }
                    output.removeAll(keepingCapacity: true)
                }
            } catch {
                Terminal.complain("standard input cannot be read: \(error.reason)")
                throw ExitCode.failure
            }
        }

        private func classify(_ line: String, _ rules: ReplyRules, _ phase: Phase?, _ site: String?) -> String {
            let reply = ReplyLines.reply(line)
            if let reply, reply.code < 400 { return "-\t-\taccepted" }
            let answer = reply.map(Answer.reply) ?? .trouble(.nonsense, "no reply code")
            let classification = rules.classify(answer, in: phase, site: site)
            return "\(classification.cause.rawValue)\t\(Visible.text(classification.rule))\t\(classification.decision)"
        }
    }

    /// `figaro replies test`
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run every example in the rules: each must be read by the rule that it stands with.",
            discussion: """
                The same runs when a relay starts or reloads; a file with a wrong rule is not used.

                Examples:
                  figaro replies test --rules replies.yaml
                  figaro replies test --config /etc/figaro/relay.yaml && figaro reload

                Exit codes: 0 all are read as they should be, 78 one is not (named with file, line and key).
                """)

        @OptionGroup var rules: RulesOption

        func run() throws {
            let rules = try rules.load().rules
            let examples = rules.reduce(0) { $0 + $1.examples.count }
            Terminal.say("\(rules.count) rules, \(examples) examples: each is read by its rule")
        }
    }
}
