import ArgumentParser
import Foundation

/// An outbound smart relay: it accepts customers' mail, keeps it safely and delivers it from many addresses.
@main struct Main: ParsableCommand {
    static let version = "0.9.0"

    static let configuration = CommandConfiguration(
        commandName: "figaro",
        abstract: "An outbound smart SMTP relay: takes customers' mail, keeps it, delivers it from many addresses.",
        discussion: """
            A first start on any machine, taking mail of this machine on 127.0.0.1 port 2525:
              figaro serve

            With a configuration of your own:
              figaro config check --config relay.yaml
              figaro serve --config relay.yaml

            While it runs:
              figaro queue list
              figaro trace ID
              figaro explain ID
              figaro audit
              figaro backup --to FOLDER
              figaro ip list
              figaro site list
              figaro customer list
              figaro credential add CUSTOMER --user NAME
              figaro dkim list
              figaro top
              figaro filter
              figaro reload
            """,
        version: version,
        subcommands: [
            ServeCommand.self, ConfigCommand.self, IPMapCommand.self, QueueCommand.self, TraceCommand.self,
            MessageExplainCommand.self, AuditCommand.self, BackupCommand.self, RestoreCommand.self,
            SupportBundleCommand.self, CompletionCommand.self, ManualCommand.self, RepliesCommand.self,
            SourceCommand.self, SiteCommand.self, CustomerCommand.self, CredentialCommand.self, ImportCommand.self,
            KeyCommand.self, ReloadCommand.self, TopCommand.self, FilterCommand.self,
        ])

    static func main() {
        if let why = unknownCommand(in: CommandLine.arguments.dropFirst()) {
            Terminal.complain(Visible.text(why))
            Foundation.exit(ExitCode.validationFailure.rawValue)
        }
        main(nil)
    }

    /// What is wrong where a word should be a command and is none: said before options are looked at, which the
    /// command that was meant may well have.
    static func unknownCommand(in words: some Sequence<String>) -> String? {
        var command: any ParsableCommand.Type = Main.self
        var path = ["figaro"]
        for word in words {
            let known = command.configuration.subcommands.map { $0._commandName }
            guard !known.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
            guard let index = known.firstIndex(of: word) else {
                return "there is no command “\((path + [word]).joined(separator: " "))”"
                    + Nearest.hint(word, among: known)
                    + "; `\(path.joined(separator: " ")) --help` tells which there are"
            }
            command = command.configuration.subcommands[index]
            path.append(word)
        }
        return nil
    }
}
