import ArgumentParser
import DNS
import Delivery
import Mail

/// `figaro ip check`
struct SourceCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Try to bind each source on this machine, and ask the DNS whether it confirms their names.",
        discussion: """
            It reads the files and needs no running relay. With --dns the PTR record of each address must name its \
            EHLO name, and that name must lead back to the address: many receivers refuse mail where it is not so.

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
        }

        var ok: Bool
        var checked: Int
        var dnsAsked: Bool
        var faults: [Fault]
    }

    func run() throws {
        let loaded: LoadedConfiguration
        do throws(BadConfiguration) {
            loaded = try LoadedConfiguration.load(config.path, machine: false)
        } catch {
            throw error.report(json: json)
        }
        let result = try check(try sources(loaded.ipmap), loaded.node.resolver)
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

    private func check(
        _ sources: [ExpandedIPMap.Described], _ resolver: UnboundResolver.Configuration
    ) throws -> Result {
        let unbound = Dictionary(
            SourceBinding.unbound(sources).map { ($0.source.address, $0.fault) },
            uniquingKeysWith: { first, _ in first })
        var confirmed = [String?](repeating: nil, count: sources.count)
        if dns {
            do {
                confirmed = try ForwardConfirmation.faults(
                    of: sources.map {
                        ForwardConfirmation.Subject(address: $0.source.address, name: $0.source.ehlo)
                    }, resolver)
            } catch {
                Terminal.complain("the DNS cannot be asked: \(Visible.text("\(error)"))")
                throw ExitCode.failure
            }
        }
        let faults = zip(sources, confirmed).compactMap { described, wrong -> Result.Fault? in
            let source = described.source
            guard unbound[source.address] != nil || wrong != nil else { return nil }
            return Result.Fault(
                source: source.name, address: source.address.description, ehlo: source.ehlo,
                binding: unbound[source.address], dns: wrong)
        }
        return Result(ok: faults.isEmpty, checked: sources.count, dnsAsked: dns, faults: faults)
    }

    private func tell(_ result: Result) {
        for fault in result.faults {
            let words = [fault.binding.map { "cannot be bound: \($0)" }, fault.dns].compactMap(\.self)
            Terminal.say(Visible.text("\(fault.source) \(fault.address) \(words.joined(separator: "; "))"))
        }
        Terminal.say(
            "\(result.checked) sources that may send, \(result.checked - result.faults.count) of them well"
                + (result.dnsAsked ? "" : "; --dns asks for their names as well"))
    }
}
