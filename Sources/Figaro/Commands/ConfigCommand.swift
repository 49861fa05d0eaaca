import ArgumentParser
import DNS
import Delivery
import Intake
import Mail
import SMTP

/// `figaro config …`
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Look at the node's configuration.", subcommands: [Check.self])

    /// `figaro config check`
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every file as serve would, and say what is wrong or what was found.",
            discussion: """
                Nothing is changed and no port is taken, so it can run beside a running relay, which it asks for the \
                customers that are kept in the spool: what file and spool both say is warned of.

                Examples:
                  figaro config check --config /etc/figaro/relay.yaml
                  figaro config check --config relay.yaml && systemctl reload figaro

                Exit codes: 0 all is well, 78 something is wrong (each problem on a line: file, line, key, reason).
                """)

        @OptionGroup var config: ConfigurationOption
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            do throws(BadConfiguration) {
                let loaded = try LoadedConfiguration.load(config.path)
                let warnings = loaded.ipmap.warnings + loaded.conflicts(with: Self.accounts(at: loaded.node.control))
                if json {
                    Terminal.say(json: Summary(ok: true, warnings: warnings, found: loaded.found()))
                } else {
                    for (name, value) in loaded.lines() {
                        Terminal.say(name.padding(to: 12) + Visible.text(value))
                    }
                    for warning in warnings { Terminal.say("warning     " + Visible.text(warning)) }
                }
            } catch {
                throw error.report(json: json)
            }
        }

        /// What the relay that runs with this file keeps of customers; nothing where none answers.
        private static func accounts(at control: String) -> [String: AccountRecord] {
            var accounts: [String: AccountRecord] = [:]
            let end = try? ControlClient.ask(.customer(CustomerRequest(verb: .list)), at: control) { line in
                guard let report = JSONLine.value(CustomerReport.self, from: line), let account = report.account,
                    account.kept == "spool"
                else { return }
                accounts[report.name] = AccountRecord(account)
            }
            return end == nil ? [:] : accounts
        }

        private struct Summary: Encodable {
            var ok: Bool
            var warnings: [String]
            var found: [String: String]
        }
    }
}

extension LoadedConfiguration {
    fileprivate func found() -> [String: String] {
        Dictionary(lines(), uniquingKeysWith: { first, _ in first })
    }

    /// What it amounts to, a screen at most.
    fileprivate func lines() -> [(String, String)] {
        let planner = node.planner
        let listeners = node.intake.listeners.map { "\($0.address) port \($0.port) (tls: \($0.tls.rawValue))" }
        let customers = node.intake.customers.map { customer in
            "\(customer.name) (\(customer.networks.prefix(4).map(\.description).joined(separator: " "))"
                + "\(customer.networks.count > 4 ? " …" : ""))"
        }
        let pools = ipmap.map.pools.values.sorted { $0.name < $1.name }.map { "\($0.name) (\($0.sources.count))" }
        let steps = (ipmap.map.routes["default"]?.steps ?? []).map(\.description)
        let servers = node.resolver.servers
        let resolving = node.resolver.recursive ? "the root servers and down" : "the servers of /etc/resolv.conf"
        return [
            ("file", node.file ?? "the built-in configuration"),
            ("hostname", node.hostname),
            ("listeners", Self.shortened(listeners)),
            ("customers", Self.shortened(customers)),
            ("filter", node.filter?.summary ?? "none: mail passes on unchecked"),
            ("spool", node.spool),
            ("control", node.control),
            ("user", node.user ?? "the one that starts it"),
            (
                "schedule",
                planner.schedule.map { Units.text($0) }.joined(separator: " ")
                    + ", then the last again, for \(Units.text(node.intake.maxAge)) at most"
            ),
            ("sessions", "\(planner.sessions), to one site \(planner.sessionsPerSite)"),
            ("dns", servers.isEmpty ? resolving : Self.shortened(servers)),
            ("ipmaps", node.ipmaps ?? "the built-in map"),
            ("sources", "\(ipmap.sources.count), that may send \(ipmap.sources.count { $0.state.maySend })"),
            ("pools", Self.shortened(pools)),
            ("route", steps.joined(separator: ", then ")),
            ("fixed ways", Self.shortened(ipmap.map.sites.keys.sorted())),
            ("limits of", Self.shortened(ipmap.map.rules.filter { !$0.limits.isEmpty }.map(\.name))),
            ("replies", node.replies ?? "the built-in rules"),
            (
                "notices",
                "in \(Set([node.notices.language] + node.notices.languages.values).sorted().joined(separator: ", ")), "
                    + (node.notices.delayAfter.map { "of delays after \(Units.text($0))" } ?? "not of delays")
                    + ", undeliverable ones to \(node.intake.postmaster.map { "\($0)" } ?? "nobody")"
            ),
        ]
    }

    private static func shortened(_ list: [String]) -> String {
        let shown = list.prefix(5).joined(separator: ", ")
        return list.isEmpty ? "none" : list.count > 5 ? "\(shown) and \(list.count - 5) more" : shown
    }
}

extension String {
    /// Filled with spaces to a width; longer text stays as it is, with one space after it.
    func padding(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(1, width - count))
    }
}
