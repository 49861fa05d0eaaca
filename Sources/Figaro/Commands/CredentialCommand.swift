import ArgumentParser
import Intake

/// `figaro credential …`
struct CredentialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "credential", abstract: "Give customers logins, and take them away.",
        discussion: """
            A login is a user and a password, for SMTP AUTH inside TLS. Give each server and program of a customer its \
            own, so that one can be revoked without the others.
            """,
        subcommands: [Add.self, List.self, Revoke.self])

    /// `figaro credential add`
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a user log in as a customer; prints a password that is made for it, once.",
            discussion: """
                The password is 24 letters and digits of 120 random bits. It is kept as scrypt makes it and cannot be \
                shown again. With --password-stdin one line of the standard input is the password instead.

                Examples:
                  figaro credential add acme --user acme-mail1
                  pass show relay/acme | figaro credential add acme --user acme-mail1 --password-stdin

                Exit codes: 0 added, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "The customer's name.") var customer: String
        @Option(help: "What it logs in as; nobody else may have it.") var user: String
        @Flag(help: "Read the password from the standard input.") var passwordStdin = false
        @Flag(help: "Print one JSON object, with the password where it was made.") var json = false

        func run() throws {
            let given = passwordStdin ? try Self.read() : nil
            let password = given ?? Self.make()
            let hash = try PasswordHash(of: password)
            let request = AccountRequest(
                verb: .addLogin, name: customer, user: user, password: hash.description)
            var said: OrderReport?
            _ = try relay.ask(.account(request)) { said = JSONLine.value(OrderReport.self, from: $0) }
            if json {
                Terminal.say(json: Made(customer: customer, user: user, password: given == nil ? password : nil))
            } else {
                Terminal.complain(Visible.text(said?.said ?? ""))
                if given == nil { Terminal.say(password) }
            }
        }

        private struct Made: Encodable {
            var customer: String
            var user: String
            var password: String?
        }

        /// Without letters and digits that are taken for one another.
        private static func make() -> String {
            var random = SystemRandomNumberGenerator()
            let letters = Array("abcdefghijkmnpqrstuvwxyz23456789")
            return String((0..<24).compactMap { _ in letters.randomElement(using: &random) })
        }

        private static func read() throws -> String {
            guard let line = readLine(strippingNewline: true), (1...255).contains(line.utf8.count), !line.contains("\0")
            else { throw ValidationError("the standard input has no line of 1 to 255 octets") }
            return line
        }
    }

    /// `figaro credential list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the logins of one customer, or of all.",
            discussion: """
                Examples:
                  figaro credential list
                  figaro credential list acme --json | jq -r .user

                Exit codes: 0 listed, 1 there is no such customer or no relay answers, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "The customer's name; all without it.") var customer: String?
        @Flag(help: "Print one JSON object per line.") var json = false

        func run() throws {
            _ = try relay.list(
                .account(AccountRequest(verb: .listLogins, name: customer)), of: LoginReport.self, json: json)
        }
    }

    /// `figaro credential revoke`
    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a login away; a session that uses it ends with its next message.",
            discussion: """
                Example:
                  figaro credential revoke acme --user acme-mail1

                Exit codes: 0 revoked, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "The customer's name.") var customer: String
        @Option(help: "What it logs in as.") var user: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(
                .account(AccountRequest(verb: .revokeLogin, name: customer, user: user)), json: json)
        }
    }
}
