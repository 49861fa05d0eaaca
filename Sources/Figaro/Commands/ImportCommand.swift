import ArgumentParser
import Intake

/// `figaro import …`
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Take customers over from another mailserver.", subcommands: [Postfix.self])

    /// `figaro import postfix`
    struct Postfix: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make accounts of a Postfix's mynetworks, sender_login_maps and passwords.",
            discussion: """
                `mynetworks` becomes one customer that is known by its networks. Each user that logs in becomes a \
                customer of its own, named after it, that may send from what `smtpd_sender_login_maps` grants. Tables \
                are read from their text (`hash:/etc/postfix/logins` from that file, not from `logins.db`). The \
                passwords are in a file of `user password` or `user:password` lines, or a Dovecot passwd-file with \
                {PLAIN} passwords: from a hash no other hash can be made, so that such a user needs a new password \
                (`figaro credential add`). What is not taken over is named with file and line.

                Examples:
                  figaro import postfix --main /etc/postfix/main.cf --dry-run
                  figaro import postfix --main /etc/postfix/main.cf --passwords /etc/postfix/sasl-users

                Exit codes: 0 all is taken over, 1 something is not, 64 wrong usage, 66 a file cannot be read, 78 the \
                configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Option(help: ArgumentHelp("Postfix's main.cf.", valueName: "file")) var main: String
        @Option(help: ArgumentHelp("Users and passwords.", valueName: "file")) var passwords: String?
        @Option(help: "What the customer of mynetworks is called.") var customer = "postfix"
        @Flag(help: "Tell what would be done, and do nothing.") var dryRun = false

        func run() throws {
            var reader = PostfixImport()
            do {
                try reader.take(main: main)
                if let passwords { try reader.take(passwords: passwords) }
            } catch {
                Terminal.complain(Visible.text("cannot read: \(error)"))
                throw ExitCode.noInput
            }
            var isWhole = reader.remarks.isEmpty
            for plan in reader.plans(customer: customer) {
                Terminal.say(Visible.text(plan.said))
                guard !dryRun else { continue }
                isWhole = carryOut(plan) && isWhole
            }
            for remark in reader.remarks { Terminal.complain(Visible.text("not taken over: \(remark)")) }
            if !isWhole { throw ExitCode.failure }
        }

        /// - Returns: whether all of it is done.
        private func carryOut(_ plan: PostfixImport.Plan) -> Bool {
            var change = AccountChange()
            change.networks = plan.networks
            change.senders = plan.senders
            do {
                try relay.order(.account(AccountRequest(verb: .add, name: plan.name, change: change)), json: false)
                guard let user = plan.user, let password = plan.password else { return true }
                let hash = try PasswordHash(of: password).description
                try relay.order(
                    .account(AccountRequest(verb: .addLogin, name: plan.name, user: user, password: hash)),
                    json: false)
                return true
            } catch {
                return false
            }
        }
    }
}

extension PostfixImport.Plan {
    /// What is to be made, in one line; no password.
    fileprivate var said: String {
        var parts = ["customer \(name)"]
        if !networks.isEmpty { parts.append("networks \(networks.joined(separator: " "))") }
        if let user { parts.append("user \(user)\(password == nil ? " (without a password)" : "")") }
        if !senders.isEmpty { parts.append("senders \(senders.joined(separator: " "))") }
        return parts.joined(separator: ", ")
    }
}
