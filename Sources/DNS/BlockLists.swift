package import Mail

/// Whether addresses stand on lists in the DNS that receivers ask about senders (RFC 5782).
package enum BlockLists {
    package struct Findings: Sendable, Hashable {
        /// Of each address, in their order: what the lists say against it.
        package var faults: [[String]]
        /// Lists that cannot be asked, or whose answers mean nothing, and why.
        package var useless: [String] = []

        /// Nothing against any of them.
        package init(of addresses: Int) {
            faults = Array(repeating: [], count: addresses)
        }
    }

    /// Entries by which a list can be tried: this one it must have, the other one not (RFC 5782 section 5).
    private static let listed = IPAddress(v4: 0x7F00_0002)
    private static let unlisted = IPAddress(v4: 0x7F00_0001)
    /// What large lists answer to whom they do not serve, such as big public resolvers.
    private static let refusals = IPNetwork("127.255.255.0/24")
    private static let answers = IPNetwork("127.0.0.0/8")

    /// Asks every list for every address, on the caller's thread; blocks.
    package static func findings(
        of addresses: [IPAddress], on lists: [String], _ configuration: UnboundResolver.Configuration
    ) throws(UnboundResolver.SetupError) -> Findings {
        let context = try UnboundContext(configuration)
        let asked = [listed, unlisted] + addresses
        let questions = lists.flatMap { list in asked.map { Question("\($0.reversedLabels).\(list)", .a) } }
        let answers = context.answers(to: questions, within: configuration.timeout)
        var findings = Findings(of: addresses.count)
        for (number, list) in lists.enumerated() {
            let said = answers[(number * asked.count)..<((number + 1) * asked.count)].map { reading($0) }
            if let why = fault(of: list, said[0], said[1]) {
                findings.useless.append(why)
                continue
            }
            for (index, reading) in said.dropFirst(2).enumerated() {
                if let fault = reading.fault(list) { findings.faults[index].append(fault) }
            }
        }
        return findings
    }

    enum Reading: Hashable {
        case listed(String)
        case clean
        case refused(String)
        case failed(String)

        func fault(_ list: String) -> String? {
            switch self {
            case .listed(let code): "listed by \(list) (\(code))"
            case .clean: nil
            case .refused(let code): "\(list) refuses to say (\(code))"
            case .failed(let why): "\(list) cannot be asked (\(why))"
            }
        }
    }

    static func reading(_ lookup: Lookup) -> Reading {
        switch lookup {
        case .noData, .noName: return .clean
        case .failed(let why): return .failed(why)
        case .records(let records, _, _):
            let found = records.compactMap { if case .address(let address) = $0 { address } else { nil } }
            let codes = found.prefix(4).map(\.description).joined(separator: ", ")
            if found.contains(where: { refusals?.contains($0) == true }) { return .refused(codes) }
            // RFC 5782 section 2.1: anything else is no list's answer, but that of whoever holds the name now.
            return found.allSatisfy { answers?.contains($0) == true } ? .listed(codes) : .failed("it says \(codes)")
        }
    }

    /// Why nothing that the list says counts.
    static func fault(of list: String, _ listed: Reading, _ unlisted: Reading) -> String? {
        switch (listed, unlisted) {
        case (.listed, .clean): nil
        case (.listed, .listed): "\(list) lists everything, even 127.0.0.1"
        case (.clean, _): "\(list) does not have its test entry 127.0.0.2: it is no block list, or does not serve us"
        case (.listed, let reading), (let reading, _): reading.fault(list)
        }
    }
}
