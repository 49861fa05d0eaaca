import ArgumentParser
import Delivery
import Glibc
import Mail

/// `figaro ipmap …`
struct IPMapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ipmap", abstract: "Look at the addresses that mail is sent from.",
        subcommands: [Check.self, Show.self, ExplainCommand.self])

    /// Which map is meant: that of a configuration, or a folder of its own.
    struct Target: ParsableArguments {
        @OptionGroup var config: ConfigurationOption
        @Argument(help: "A folder of ipmap files, instead of the one that the configuration names.")
        var folder: String?

        func load() throws(BadConfiguration) -> ExpandedIPMap {
            let problems = Problems()
            let hostName: String
            var folder = folder
            if folder != nil {
                // A folder may be looked at before there is any configuration; only interfaces need the name.
                hostName = "localhost"
            } else {
                guard let node = NodeConfigurationFile.load(config.path, problems) else {
                    try problems.check()
                    throw BadConfiguration("cannot be decoded", file: config.path)
                }
                hostName = node.hostname
                folder = node.ipmaps
            }
            let map = IPMapFolder.load(folder, hostName: hostName, problems)
            try problems.check()
            guard let map else { throw BadConfiguration("cannot be decoded", file: folder) }
            return map
        }
    }

    /// `figaro ipmap check`
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every file of the map, and try to bind each source on this machine.",
            discussion: """
                Examples:
                  figaro ipmap check --config /etc/figaro/relay.yaml
                  figaro ipmap check --no-bind ./ipmaps      on a machine that does not have the addresses

                A whole network needs no interface entries; a local route makes it bindable:
                  ip route add local 203.0.113.0/24 dev lo

                Exit codes: 0 all is well, 1 a source that may send cannot be bound, 78 a file is wrong.
                """)

        @OptionGroup var target: Target
        @Flag(name: .customLong("no-bind"), help: "Only read the files.") var noBind = false
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            let map: ExpandedIPMap
            do throws(BadConfiguration) {
                map = try target.load()
            } catch {
                throw error.report(json: json)
            }
            let unbound = noBind ? [] : SourceBinding.unbound(map.sources)
            if json {
                Terminal.say(json: Result(map, unbound, bound: !noBind))
            } else {
                report(map, unbound)
            }
            if !unbound.isEmpty { throw ExitCode.failure }
        }

        private func report(_ map: ExpandedIPMap, _ unbound: [(source: Source, fault: String)]) {
            for (source, fault) in unbound.prefix(10) {
                Terminal.complain("\(source.name) \(source.address) cannot be bound: \(fault)")
            }
            if unbound.count > 10 { Terminal.complain("and \(unbound.count - 10) more") }
            for warning in map.warnings { Terminal.complain("warning: " + Visible.text(warning)) }
            let sending = map.sources.count { $0.state.maySend }
            Terminal.say(
                "\(map.sources.count) sources, \(sending) of them may send, in \(map.map.pools.count) pools; "
                    + "\(map.map.sites.count) fixed sites"
                    + (noBind ? "" : "; \(sending - unbound.count) can be bound on this machine"))
        }

        private struct Result: Encodable {
            struct Fault: Encodable {
                var source: String
                var address: String
                var reason: String
            }

            var ok: Bool
            var sources: Int
            var sending: Int
            var bindingTried: Bool
            var unbound: [Fault]
            var warnings: [String]

            init(_ map: ExpandedIPMap, _ unbound: [(source: Source, fault: String)], bound: Bool) {
                ok = unbound.isEmpty
                sources = map.sources.count
                sending = map.sources.count { $0.state.maySend }
                bindingTried = bound
                self.unbound = unbound.map {
                    Fault(source: $0.source.name, address: $0.source.address.description, reason: $0.fault)
                }
                warnings = map.warnings
            }
        }
    }

    /// `figaro ipmap show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the map as it was understood: each source, pool, route and fixed site.",
            discussion: """
                Examples:
                  figaro ipmap show --config /etc/figaro/relay.yaml
                  figaro ipmap show ./ipmaps --json | jq -r '.sources[].ehlo'

                Exit codes: 0 shown, 78 a file is wrong.
                """)

        @OptionGroup var target: Target
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            do throws(BadConfiguration) {
                let map = try target.load()
                if json {
                    Terminal.say(json: IPMapReport(map))
                } else {
                    IPMapReport(map).lines.forEach(Terminal.say)
                }
            } catch {
                throw error.report(json: json)
            }
        }
    }
}

/// The map for people and machines.
struct IPMapReport: Encodable {
    struct SourceEntry: Encodable {
        var name: String
        var address: String
        var ehlo: String
        var state: String
        var reason: String?
    }

    struct PoolEntry: Encodable {
        var sending: Int
        var messagesPerSession: Int
    }

    struct SiteEntry: Encodable {
        var host: String
        var port: Int
        var tls: String
    }

    var sources: [SourceEntry]
    var pools: [String: PoolEntry]
    var routes: [String: [String]]
    var sites: [String: SiteEntry]
    var limits: [String: LimitEntry]

    struct LimitEntry: Encodable {
        /// Empty for a recipient domain.
        var mx: [String]
        var sessions: Int?
        var messagesPerSession: Int?
        var rate: String?
    }

    init(_ expanded: ExpandedIPMap) {
        sources = expanded.sources.map {
            SourceEntry(
                name: $0.source.name, address: $0.source.address.description, ehlo: $0.source.ehlo,
                state: $0.state.rawValue, reason: $0.reason)
        }
        pools = expanded.map.pools.mapValues {
            PoolEntry(sending: $0.sources.count, messagesPerSession: $0.messagesPerSession)
        }
        routes = expanded.map.routes.mapValues { $0.steps.map(\.description) }
        limits = Dictionary(
            expanded.map.rules.map { rule in
                let limits = rule.limits
                return (
                    rule.name,
                    LimitEntry(
                        mx: rule.hosts, sessions: limits.sessions, messagesPerSession: limits.messagesPerSession,
                        rate: limits.rate?.description)
                )
            }, uniquingKeysWith: { first, _ in first })
        sites = expanded.map.sites.mapValues { SiteEntry(host: $0.host, port: $0.port, tls: $0.tls.rawValue) }
    }

    var lines: [String] {
        let name = (sources.map(\.name.count).max() ?? 0) + 2
        let address = (sources.map(\.address.count).max() ?? 0) + 2
        var lines = sources.map { source in
            let state = source.reason.map { "\(source.state): \(Visible.text($0))" } ?? source.state
            return source.name.padding(to: name) + source.address.padding(to: address) + source.ehlo + "  " + state
        }
        lines += pools.sorted { $0.key < $1.key }.map {
            "pool \($0.key): \($0.value.sending) sources, \($0.value.messagesPerSession) messages per session"
        }
        lines += routes.sorted { $0.key < $1.key }.map { "route \($0.key): \($0.value.joined(separator: ", then "))" }
        lines += sites.sorted { $0.key < $1.key }.map {
            "site \($0.key): \($0.value.host) port \($0.value.port), tls \($0.value.tls)"
        }
        lines += limits.sorted { $0.key < $1.key }.map { name, limit in
            let words = [
                limit.sessions.map { "\($0) sessions" }, limit.messagesPerSession.map { "\($0) messages per session" },
                limit.rate,
            ]
            let whom = limit.mx.isEmpty ? "" : " (hosts of \(limit.mx.joined(separator: ", ")))"
            let said = words.compactMap(\.self).joined(separator: ", ")
            return "limits \(name)\(whom): \(said.isEmpty ? "none of its own" : said)"
        }
        return lines
    }
}
