import ArgumentParser
import Foundation
import Testing

@testable import Figaro

/// Exit codes and help of what steers a running relay.
struct SteeringCommandTests {
    private func exitCode(_ words: [String]) -> Int32 {
        do {
            var command = try Main.parseAsRoot(words)
            try command.run()
            return 0
        } catch {
            return Main.exitCode(for: error).rawValue
        }
    }

    @Test(arguments: [
        ["ip", "drain", "203.0.113.1"], ["ip", "drain", "--reason", "x"], ["ip", "disable", "a", "--reason"],
        ["ip", "drain", "a", "--reason", "x", "--for", "2 hours"],
        ["ip", "disable", "a", "--reason", "x", "--for", "0s"],
        ["ip", "enable", "a", "--reason", "x", "--for", "1h"], ["ip", "list", "--limit", "0"], ["ip", "show"],
        ["site", "suspend", "a.example"], ["site", "suspend", "a.example", "--reason", "x", "--for", "400d"],
        ["site", "resume"], ["site", "list", "--limit", "0"], ["top", "--interval", "100ms"],
        ["top", "--interval", "soon"],
        ["ipmap", "explain", "--sender", "a@b.example"], ["reload", "now"],
    ])
    func `wrong usage is 64`(words: [String]) {
        #expect(exitCode(words) == 64)
    }

    @Test(arguments: [
        ["ip", "list"], ["ip", "show", "a"], ["ip", "drain", "a", "--reason", "x"],
        ["ip", "disable", "a", "--reason", "x", "--for", "2h"], ["ip", "enable", "a", "--reason", "x"],
        ["site", "list"],
        ["site", "show", "a.example"], ["site", "suspend", "a.example", "--reason", "x"],
        ["site", "resume", "a.example", "--reason", "x"], ["top", "--once"], ["reload"],
        ["ipmap", "explain", "--sender", "", "--recipient", "a@b.example"],
    ])
    func `without a relay it is 1, and 78 where the configuration is wrong`(words: [String]) throws {
        let folder = try TemporaryFolder()
        #expect(exitCode(words + ["--socket", folder.path + "/none.sock"]) == 1)
        let file = try folder.write("relay.yaml", "hostnam: relay.example\n")
        #expect(exitCode(words + ["--config", file]) == 78)
    }

    @Test func `check needs no relay`() throws {
        let folder = try TemporaryFolder()
        try folder.write("maps/map.yaml", "ranges: { here: { cidr: 127.9.0.0/30, ehlo: \"o{4}.example\" } }\n")
        let file = try folder.write(
            "relay.yaml",
            """
            hostname: relay.example
            spool: spool
            listeners: [{ address: 127.0.0.1, port: 2525 }]
            customers: { acme: { networks: [127.0.0.1/32] } }
            ipmaps: maps
            """)
        #expect(exitCode(["ip", "check", "--config", file]) == 0)
        #expect(exitCode(["ip", "check", "here-1", "--json", "--config", file]) == 0)
        #expect(exitCode(["ip", "check", "there", "--config", file]) == 1)
        try folder.write("maps/far.yaml", "ranges: { far: { cidr: 198.51.100.8/31, ehlo: \"o{4}.example\" } }\n")
        #expect(exitCode(["ip", "check", "--config", file]) == 1)
    }

    @Test func `each of them teaches by example and names its exit codes`() {
        var commands: [any ParsableCommand.Type] = [
            SourceCommand.self, SiteCommand.self, ReloadCommand.self, TopCommand.self, ExplainCommand.self,
            FilterCommand.self,
        ]
        commands += commands.flatMap { $0.configuration.subcommands }
        for command in commands where command.configuration.subcommands.isEmpty {
            let help = Main.helpMessage(for: command, columns: 100)
            #expect(help.contains("Example") && help.contains("Exit codes: 0"), "\(command)")
        }
    }
}
