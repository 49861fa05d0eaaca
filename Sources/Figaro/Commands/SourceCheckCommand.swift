import ArgumentParser
import DNS
import Delivery
import Mail

/// `figaro ip check`
struct SourceCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Try to bind each source on this machine, and ask the DNS what receivers find there.",
        discussion: """
            It reads the files and needs no running relay. With --dns the PTR record of each address must name its \
            EHLO name, and that name must lead back to the address: many receivers refuse mail where it is not so. \
            The address must also stand on none of the block lists that the configuration names (dns: block_lists); \
            each list is tried with its own test entry first, so that one that does not serve us is not taken for \
            good news. SPF is evaluated as receivers do: the record of each EHLO name, where there is one, and those \
            of the domains that the configuration names (dns: spf) must cover the address.

            Examples:
              figaro ip check
              figaro ip check --dns
              figaro ip check 203.0.113.0/28 --dns --json | jq '.faults[]'

            Exit codes: 0 all is well, 1 something is wrong with a source that may send, 78 a file is wrong.
            """)

    @OptionGroup var config: ConfigurationOption
    @Argument(help: "Addresses, networks, sources, ranges or pools; all sources without any.") var names: [String] = []
    @Flag(help: "Ask the DNS, by the resolver of the configuration.") var dns = false
    @Flag(help: "Print one JSON object.") var json = false

    private struct Result: Encodable {
        struct Fault: Encodable {
            var source: String
            var address: String
            var ehlo: String
            /// Why it cannot be bound.
            var binding: String?
            /// What the DNS says otherwise.
            var dns: String?
            /// Block lists that it stands on.
            var lists: [String]
            /// What is wrong with SPF.
            var spf: [String]
        }

        var ok: Bool
        var checked: Int
        var dnsAsked: Bool
        var faults: [Fault]
        /// Block lists that say nothing that counts, and why.
        var uselessLists: [String]
        /// Sources whose EHLO name has no SPF record, which is no fault.
        var withoutPolicy: Int
    }

    /// What the DNS says of each source, in their order.
    private struct Asked {
        var confirmed: [String?]
        var listed: BlockLists.Findings
        var policies: [[String]]
        var withoutPolicy = 0

        init(of count: Int) {
            confirmed = Array(repeating: nil, count: count)
            listed = BlockLists.Findings(of: count)
            policies = Array(repeating: [], count: count)
        }
    }

    func run() throws {
        let loaded: LoadedConfiguration
        do throws(BadConfiguration) {
            loaded = try LoadedConfiguration.load(config.path, machine: false)
        } catch {
            throw error.report(json: json)
        }
        let result = try check(try sources(loaded.ipmap), loaded.node)
        if json {
            Terminal.say(json: result)
        } else {
            tell(result)
        }
        if !result.ok { throw ExitCode.failure }
    }

    private func sources(_ map: ExpandedIPMap) throws -> [ExpandedIPMap.Described] {
        guard !names.isEmpty else { return map.sources.filter(\.state.maySend) }
        do throws(SourceNames.Unknown) {
            let wanted = Set(try SourceNames(map).addresses(names))
            return map.sources.filter { wanted.contains($0.source.address) && $0.state.maySend }
        } catch {
            Terminal.complain(Visible.text(error.description))
            throw ExitCode.failure
        }
    }

    private func check(_ sources: [ExpandedIPMap.Described], _ node: NodeConfiguration) throws -> Result {
        let unbound = Dictionary(
            SourceBinding.unbound(sources).map { ($0.source.address, $0.fault) },
            uniquingKeysWith: { first, _ in first })
        let asked = try asked(sources, node)
        let listed = asked.listed
        let faults = zip(sources.indices, sources).compactMap { index, described -> Result.Fault? in
            let source = described.source
            let fault = Result.Fault(
                source: source.name, address: source.address.description, ehlo: source.ehlo,
                binding: unbound[source.address], dns: asked.confirmed[index], lists: listed.faults[index],
                spf: asked.policies[index])
            let isWell = fault.binding == nil && fault.dns == nil && fault.lists.isEmpty && fault.spf.isEmpty
            return isWell ? nil : fault
        }
        return Result(
            ok: faults.isEmpty && listed.useless.isEmpty, checked: sources.count, dnsAsked: dns, faults: faults,
            uselessLists: listed.useless, withoutPolicy: asked.withoutPolicy)
    }

    private func asked(_ sources: [ExpandedIPMap.Described], _ node: NodeConfiguration) throws -> Asked {
        var asked = Asked(of: sources.count)
        guard dns else { return asked }
        do {
            asked.confirmed = try ForwardConfirmation.faults(
                of: sources.map {
                    NamedAddress(address: $0.source.address, name: $0.source.ehlo)
                }, node.resolver)
            try askPolicies(sources, node, &asked)
            let lists = node.namesToCheck.blockLists
            guard !lists.isEmpty else { return asked }
            asked.listed = try BlockLists.findings(of: sources.map(\.source.address), on: lists, node.resolver)
            return asked
        } catch {
            Terminal.complain("the DNS cannot be asked: \(Visible.text("\(error)"))")
            throw ExitCode.failure
        }
    }

    /// Of each source the EHLO name, which counts for mail from `<>` (RFC 7208 section 2.4), and every domain named.
    private func askPolicies(
        _ sources: [ExpandedIPMap.Described], _ node: NodeConfiguration, _ asked: inout Asked
    ) throws {
        let domains = node.namesToCheck.policies
        let subjects = sources.flatMap { described in
            ([described.source.ehlo] + domains).map {
                NamedAddress(address: described.source.address, name: $0)
            }
        }
        let results = try PolicyCheck.results(of: subjects, node.resolver)
        for (place, result) in results.enumerated() {
            let (source, number) = (place / (domains.count + 1), place % (domains.count + 1))
            if number == 0, result == .none {
                asked.withoutPolicy += 1
            } else if let fault = result.fault(of: subjects[place].name) {
                asked.policies[source].append(fault)
            }
        }
    }

    private func tell(_ result: Result) {
        for fault in result.faults {
            let words =
                [fault.binding.map { "cannot be bound: \($0)" }, fault.dns].compactMap(\.self)
                + fault.lists + fault.spf
            Terminal.say(Visible.text("\(fault.source) \(fault.address) \(words.joined(separator: "; "))"))
        }
        for list in result.uselessLists { Terminal.say(Visible.text(list)) }
        Terminal.say(
            "\(result.checked) sources that may send, \(result.checked - result.faults.count) of them well"
                + (result.withoutPolicy > 0 ? "; \(result.withoutPolicy) EHLO names have no SPF record" : "")
                + (result.dnsAsked ? "" : "; --dns asks for their names, SPF and block lists as well"))
    }
}
