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
            good news.

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
        }

        var ok: Bool
        var checked: Int
        var dnsAsked: Bool
        var faults: [Fault]
        /// Block lists that say nothing that counts, and why.
        var uselessLists: [String]
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
        let (confirmed, listed) = try asked(sources, node)
        let faults = zip(sources.indices, sources).compactMap { index, described -> Result.Fault? in
            let source = described.source
            let fault = Result.Fault(
                source: source.name, address: source.address.description, ehlo: source.ehlo,
                binding: unbound[source.address], dns: confirmed[index], lists: listed.faults[index])
            return fault.binding == nil && fault.dns == nil && fault.lists.isEmpty ? nil : fault
        }
        return Result(
            ok: faults.isEmpty && listed.useless.isEmpty, checked: sources.count, dnsAsked: dns, faults: faults,
            uselessLists: listed.useless)
    }

    /// What the DNS says of each source, where it is asked.
    private func asked(
        _ sources: [ExpandedIPMap.Described], _ node: NodeConfiguration
    ) throws -> (confirmed: [String?], listed: BlockLists.Findings) {
        let nothing = BlockLists.Findings(of: sources.count)
        guard dns else { return (sources.map { _ in nil }, nothing) }
        do {
            let confirmed = try ForwardConfirmation.faults(
                of: sources.map {
                    ForwardConfirmation.Subject(address: $0.source.address, name: $0.source.ehlo)
                }, node.resolver)
            guard !node.blockLists.isEmpty else { return (confirmed, nothing) }
            let addresses = sources.map(\.source.address)
            return (confirmed, try BlockLists.findings(of: addresses, on: node.blockLists, node.resolver))
        } catch {
            Terminal.complain("the DNS cannot be asked: \(Visible.text("\(error)"))")
            throw ExitCode.failure
        }
    }

    private func tell(_ result: Result) {
        for fault in result.faults {
            let words =
                [fault.binding.map { "cannot be bound: \($0)" }, fault.dns].compactMap(\.self) + fault.lists
            Terminal.say(Visible.text("\(fault.source) \(fault.address) \(words.joined(separator: "; "))"))
        }
        for list in result.uselessLists { Terminal.say(Visible.text(list)) }
        Terminal.say(
            "\(result.checked) sources that may send, \(result.checked - result.faults.count) of them well"
                + (result.dnsAsked ? "" : "; --dns asks for their names and block lists as well"))
    }
}
