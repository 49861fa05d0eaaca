import ArgumentParser
import Testing

@testable import Figaro

/// Help that teaches: every command shows how it is called and what its exit codes say.
struct HelpTests {
    static let commands = ManualPage.leaves(of: Main.self, ["figaro"])

    @Test func `every command has examples and exit codes`() {
        #expect(Self.commands.count > 8)
        for (names, command) in Self.commands {
            let name = names.joined(separator: " ")
            let help = Main.helpMessage(for: command, columns: 100)
            #expect(help.contains("Example:") || help.contains("Examples:"), "\(name) shows no example")
            #expect(help.contains("Exit codes: 0 "), "\(name) does not tell its exit codes")
            // An example of another command would teach nothing of this one.
            let example = help.split(separator: "Example").dropFirst().joined()
            #expect(example.contains(names.joined(separator: " ")), "\(name) is not in its own examples")
        }
    }

    @Test func `every option and argument says what it is for`() {
        for (names, command) in Self.commands {
            let help = Main.helpMessage(for: command, columns: 200)
            let places = help.split(separator: "\n").filter { $0.hasPrefix("  -") || $0.hasPrefix("  <") }
            for line in places {
                let words = line.split(separator: "  ", omittingEmptySubsequences: true)
                let isAlone = words.count < 2 && line.count < 30
                #expect(!isAlone, "\(names.joined(separator: " ")): \(line)")
            }
        }
    }

    @Test func `the manual has every command and no macro that nobody meant`() {
        let page = ManualPage.text(of: Main.self)
        for (names, _) in Self.commands {
            let heading = ".SS " + names.joined(separator: " ").split(separator: "-").joined(separator: "\\-")
            #expect(page.contains(heading + "\n"), "\(names)")
        }
        let known = [".TH", ".SH", ".SS", ".B ", ".I ", ".nf", ".fi"]
        for line in page.split(separator: "\n") where line.hasPrefix(".") || line.hasPrefix("'") {
            #expect(known.contains { line.hasPrefix($0) }, "\(line)")
        }
    }
}
