import ArgumentParser

/// Where a running relay listens for commands.
struct RelayOption: ParsableArguments {
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The relay's control socket, instead of the one in its configuration.") var socket: String?

    /// Asks the relay; prints why not, and throws the exit code.
    func ask(_ request: ControlRequest, _ line: (String) -> Void) throws -> ControlEnd {
        let path: String
        if let socket {
            path = socket
        } else {
            let problems = Problems()
            guard let node = NodeConfigurationFile.load(config.path, problems) else {
                throw BadConfiguration(problems: problems.list).report()
            }
            path = node.control
        }
        do throws(ControlClient.NoAnswer) {
            return try ControlClient.ask(request, at: path, line)
        } catch {
            Terminal.complain(Visible.text(error.description))
            throw ExitCode.failure
        }
    }
}
