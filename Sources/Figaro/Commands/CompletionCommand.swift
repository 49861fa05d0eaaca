import ArgumentParser

/// `figaro completion`
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print what makes a shell complete figaro's commands and options.",
        discussion: """
            Examples:
              figaro completion bash > /etc/bash_completion.d/figaro
              figaro completion zsh > /usr/local/share/zsh/site-functions/_figaro
              figaro completion fish > ~/.config/fish/completions/figaro.fish

            Exit codes: 0 printed, 64 not a shell that is known.
            """)

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    @Argument(help: "bash, zsh or fish.") var shell: Shell

    func run() {
        let known: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Terminal.say(Main.completionScript(for: known))
    }
}

/// `figaro manual`
struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Print the manual page figaro(8), made of every command's help.",
        discussion: """
            Examples:
              figaro manual | man -l -
              figaro manual > /usr/local/share/man/man8/figaro.8

            Exit codes: 0 printed.
            """)

    func run() {
        Terminal.say(ManualPage.text(of: Main.self))
    }
}

/// A page in man(7)'s macros, so that help and manual cannot say different things.
enum ManualPage {
    static func text(of root: any ParsableCommand.Type) -> String {
        let configuration = root.configuration
        var lines = [
            ".TH FIGARO 8", ".SH NAME", "figaro \\- \(escaped(configuration.abstract))", ".SH SYNOPSIS",
            ".B figaro", ".I command", "[options]", ".SH DESCRIPTION", ".nf",
        ]
        lines += body(configuration.discussion)
        lines += [".fi", ".SH COMMANDS"]
        for (names, command) in leaves(of: root, ["figaro"]) {
            lines += [".SS \(escaped(names.joined(separator: " ")))", ".nf"]
            lines += body(root.helpMessage(for: command, columns: 78))
            lines.append(".fi")
        }
        return lines.joined(separator: "\n")
    }

    /// Every command that does something, with the words that call it.
    static func leaves(
        of command: any ParsableCommand.Type, _ names: [String]
    ) -> [(names: [String], command: any ParsableCommand.Type)] {
        let below = command.configuration.subcommands
        guard !below.isEmpty else { return [(names, command)] }
        return below.flatMap { leaves(of: $0, names + [$0._commandName]) }
    }

    private static func body(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let line = escaped(String(line))
            // A dot or an apostrophe at the start of a line would be a macro.
            return line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" + line : line
        }
    }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\e")
            .split(separator: "-", omittingEmptySubsequences: false).joined(separator: "\\-")
    }
}
