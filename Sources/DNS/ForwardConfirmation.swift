import Mail

/// Whether the DNS confirms the name that an address gives itself: its PTR record names it, and the name leads back to
/// the address (RFC 1912 section 2.1). Receivers ask this of every sender.
package enum ForwardConfirmation {
    /// Asks for all of them, on the caller's thread; blocks.
    ///
    /// - Parameter timeout: for each question.
    /// - Returns: what is wrong with each subject, in their order; nil where nothing is.
    package static func faults(
        of subjects: [NamedAddress], _ configuration: UnboundResolver.Configuration
    ) throws(UnboundResolver.SetupError) -> [String?] {
        let context = try UnboundContext(configuration)
        let questions = subjects.flatMap { subject in
            [Question(reverseName(of: subject.address), .ptr), forward(subject)]
        }
        let answers = context.answers(to: questions, within: configuration.timeout)
        return subjects.indices.map { fault(subjects[$0], answers[2 * $0], answers[2 * $0 + 1]) }
    }

    private static func forward(_ subject: NamedAddress) -> Question {
        Question(subject.name.lowercased(), subject.address.isIPv4 ? .a : .aaaa)
    }

    static func fault(_ subject: NamedAddress, _ pointer: Lookup, _ forward: Lookup) -> String? {
        [reverseFault(subject, pointer), forwardFault(subject, forward)].compactMap(\.self).joined(separator: "; ")
            .nilIfEmpty
    }

    private static func reverseFault(_ subject: NamedAddress, _ lookup: Lookup) -> String? {
        switch lookup {
        case .records(let records, _, _):
            let names = records.compactMap { if case .pointer(let name) = $0 { name } else { nil } }
            if names.contains(subject.name.lowercased()) { return nil }
            return "its PTR is \(names.prefix(3).joined(separator: ", ")), not \(subject.name)"
        case .noData, .noName: return "it has no PTR"
        case .failed(let why): return "its PTR cannot be asked for (\(why))"
        }
    }

    private static func forwardFault(_ subject: NamedAddress, _ lookup: Lookup) -> String? {
        switch lookup {
        case .records(let records, _, _):
            let addresses = records.compactMap { if case .address(let address) = $0 { address } else { nil } }
            if addresses.contains(subject.address) { return nil }
            return "\(subject.name) leads to \(addresses.prefix(3).map(\.description).joined(separator: ", "))"
        case .noData, .noName: return "\(subject.name) has no address"
        case .failed(let why): return "\(subject.name) cannot be asked for (\(why))"
        }
    }

    /// RFC 1035 section 3.5, and RFC 3596 section 2.5 for IPv6.
    static func reverseName(of address: IPAddress) -> String {
        address.reversedLabels + (address.isIPv4 ? ".in-addr.arpa" : ".ip6.arpa")
    }
}

extension IPAddress {
    /// Its octets, or the hexadecimal digits of IPv6, from the last to the first, with dots between.
    var reversedLabels: String {
        if let v4 { return "\(v4 & 255).\(v4 >> 8 & 255).\(v4 >> 16 & 255).\(v4 >> 24)" }
        let digits = [low, high].flatMap { word in
            (0..<16).map { String(word >> UInt64(4 * $0) & 15, radix: 16) }
        }
        return digits.joined(separator: ".")
    }
}

extension String {
    fileprivate var nilIfEmpty: String? { isEmpty ? nil : self }
}
