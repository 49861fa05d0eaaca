import ArgumentParser
import Glibc

/// Which spool is meant: a folder, or that of a configuration.
struct SpoolOption: ParsableArguments {
    @OptionGroup var config: ConfigurationOption
    @Option(help: ArgumentHelp("The spool's folder, instead of the one in the configuration.", valueName: "folder"))
    var spool: String?

    /// Absolute, without a slash at its end.
    ///
    /// - Throws: the exit code, after telling why.
    func path() throws -> String {
        if let spool { return Self.absolute(spool) }
        return try node().spool
    }

    func node() throws -> NodeConfiguration {
        let problems = Problems()
        guard let node = NodeConfigurationFile.load(config.path, problems) else {
            throw BadConfiguration(problems: problems.list).report()
        }
        return node
    }

    static func absolute(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return "\(String(cString: here))/\(path)"
    }
}

extension ExitCode {
    /// What was to be read is not there or not readable; EX_NOINPUT of sysexits.h.
    static let noInput = ExitCode(66)
    /// What was to be made cannot be; EX_CANTCREAT of sysexits.h.
    static let cannotMake = ExitCode(73)
}
