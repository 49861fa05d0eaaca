import ArgumentParser
import Glibc

/// `--config FILE`, the same for every command.
struct ConfigurationOption: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "The node's configuration file.",
            discussion: "Without it $FIGARO_CONFIG is used, and without that the built-in configuration.",
            valueName: "file"))
    var given: String?

    /// nil for the built-in configuration.
    var path: String? {
        given ?? getenv("FIGARO_CONFIG").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension ExitCode {
    /// Bad configuration; EX_CONFIG of sysexits.h.
    static let badConfiguration = ExitCode(78)
}

extension BadConfiguration {
    /// Prints every problem and gives the exit code.
    func report(json: Bool = false) -> ExitCode {
        if json {
            Terminal.say(json: Report(ok: false, problems: problems.map(Report.Entry.init)))
        } else {
            for problem in problems { Terminal.complain(Visible.text(problem.description)) }
        }
        return .badConfiguration
    }

    private struct Report: Encodable {
        struct Entry: Encodable {
            var file: String?
            var line: Int?
            var column: Int?
            var key: String
            var message: String

            init(_ problem: Problem) {
                file = problem.file
                line = problem.line
                column = problem.column
                key = problem.path
                message = problem.message
            }
        }

        var ok: Bool
        var problems: [Entry]
    }
}
