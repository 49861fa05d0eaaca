import Mail

/// Neighbouring addresses: `203.0.113.4`, or `203.0.113.4-203.0.113.9`.
struct AddressRun: Hashable, Sequence, CustomStringConvertible {
    let first: IPAddress
    let last: IPAddress

    /// Addresses that one run may hold: as many as there may be sources.
    private static let limit = UInt128(1 << 20)

    private init(first: IPAddress, last: IPAddress) {
        self.first = first
        self.last = last
    }

    /// nil when it is none, or an absurdly long one.
    init?(_ text: String) {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first.flatMap({ IPAddress($0) }), let last = parts.last.flatMap({ IPAddress($0) }),
            first.number <= last.number, last.number - first.number < Self.limit
        else { return nil }
        self.init(first: first, last: last)
    }

    static func runs(of addresses: some Sequence<IPAddress>) -> [AddressRun] {
        var runs: [AddressRun] = []
        for address in addresses.sorted() {
            if let run = runs.last, run.last.number &+ 1 == address.number,
                address.number - run.first.number < limit
            {
                runs[runs.count - 1] = AddressRun(first: run.first, last: address)
            } else {
                runs.append(AddressRun(first: address, last: address))
            }
        }
        return runs
    }

    func makeIterator() -> AnyIterator<IPAddress> {
        var next: UInt128? = first.number
        let end = last.number
        return AnyIterator {
            guard let number = next else { return nil }
            next = number < end ? number + 1 : nil
            return IPAddress(number: number)
        }
    }

    var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

extension IPAddress {
    fileprivate var number: UInt128 { UInt128(high) << 64 | UInt128(low) }

    fileprivate init(number: UInt128) {
        self.init(high: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
    }
}
