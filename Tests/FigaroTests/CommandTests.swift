import ArgumentParser
import Foundation
import Testing

@testable import Figaro

/// What scripts and operators go by: exit codes, and files that are refused before anything starts.
struct CommandTests {
    /// Runs a command in this process; it must not serve.
    private func exitCode(_ words: String...) -> Int32 {
        do {
            var command = try Main.parseAsRoot(words)
            try command.run()
            return 0
        } catch {
            return Main.exitCode(for: error).rawValue
        }
    }

    @Test func `wrong usage is 64`() {
        #expect(exitCode("serve", "--no-such-option") == 64)
        #expect(exitCode("queue", "list", "--limit", "0") == 64)
        #expect(exitCode("trace") == 64)
        #expect(exitCode("ip", "list", "--state", "drained") == 64)
        for verb in ["hold", "release", "retry", "delete", "bounce"] {
            #expect(exitCode("queue", verb, "--reason", "x") == 64, "nothing says which messages")
            #expect(exitCode("queue", verb, "--state", "frozen") == 64)
            #expect(exitCode("queue", verb, "--older-than", "2 hours") == 64)
        }
    }

    @Test(arguments: [
        (["qeue", "list"], "“figaro qeue”, did you mean “queue”?"),
        (["queue", "hodl", "--config", "x"], "“figaro queue hodl”, did you mean “hold”?"),
        (["ip", "drian", "192.0.2.1"], "“figaro ip drian”, did you mean “drain”?"),
        (["mail"], "“figaro mail”; `figaro --help` tells"),
    ])
    func `a command that is none is named before its options`(_ words: [String], _ expected: String) {
        #expect(Main.unknownCommand(in: words)?.contains(expected) == true)
    }

    @Test(arguments: [
        [], ["queue"], ["--help"], ["help", "queue", "list"], ["queue", "hold", "hodl"], ["trace", "XYZ"],
        ["--version"],
        ["ip", "check", "vienna", "--dns"], ["queue", "--help"],
    ])
    func `a command that is one is left to its own`(_ words: [String]) {
        #expect(Main.unknownCommand(in: words) == nil)
    }

    @Test func `a configuration that is wrong is 78, for every command that reads it`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("relay.yaml", "hostnam: relay.example\n")
        #expect(exitCode("config", "check", "--config", file) == 78)
        #expect(exitCode("config", "check", "--json", "--config", file) == 78)
        #expect(exitCode("ipmap", "check", "--config", file) == 78)
        #expect(exitCode("queue", "list", "--config", file) == 78)
        #expect(exitCode("serve", "--config", file) == 78)
        #expect(exitCode("serve", "--config", folder.path + "/none.yaml") == 78)
    }

    @Test func `a good configuration is 0, and no relay is 1`() throws {
        let folder = try TemporaryFolder()
        try folder.write("map.yaml", "ranges: { lo: { interface: lo } }\n")
        let file = try folder.write(
            "relay.yaml",
            """
            hostname: relay.example
            spool: spool
            listeners: [{ address: 127.0.0.1, port: 2525 }]
            customers: { acme: { networks: [127.0.0.1/32] } }
            """)
        #expect(exitCode("config", "check", "--config", file) == 0)
        #expect(exitCode("config", "check", "--json", "--config", file) == 0)
        #expect(exitCode("ipmap", "show", folder.path) == 78, "relay.yaml is no map")
        #expect(exitCode("ipmap", "show", "--config", file) == 0)
        #expect(exitCode("queue", "list", "--config", file) == 1)
        #expect(exitCode("trace", "0000000000000", "--config", file) == 1)
        #expect(exitCode("queue", "show", "x", "--socket", folder.path + "/none.sock") == 1)
    }

    @Test func `a source that this machine cannot bind is 1, unless binding is not tried`() throws {
        let folder = try TemporaryFolder()
        try folder.write("map.yaml", "ranges: { far: { cidr: 198.51.100.8/31, ehlo: \"o{4}.example\" } }\n")
        #expect(exitCode("ipmap", "check", folder.path) == 1)
        #expect(exitCode("ipmap", "check", "--no-bind", folder.path) == 0)
        #expect(exitCode("ipmap", "check", "--no-bind", "--json", folder.path) == 0)
    }
}
