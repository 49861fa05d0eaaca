import Delivery
import Mail

/// Turns a range into its addresses.
enum RangeExpansion {
    /// Addresses in one range: a /16. More is a slip of the pen.
    static let limit = 65_536

    struct Member: Hashable {
        /// `vienna-17` is number 17: the place in the network, so that an exclusion renames nobody.
        var number: Int
        var address: IPAddress

        func source(of range: String, ehlo: String) -> Source {
            Source(name: "\(range)-\(number)", address: address, ehlo: ehlo, range: range)
        }
    }

    /// What cannot be done, in words.
    struct Refused: Error {
        var message: String
    }

    /// Every address of the network but the excluded, or one in each of its subnets.
    static func members(
        of network: IPNetwork, exclude: [IPNetwork], onePer: Int?, count: Int?
    ) throws(Refused) -> [Member] {
        let width = network.base.isIPv4 ? 32 : 128
        let onePer = onePer ?? width
        let bits = onePer - network.prefix
        // Checked against the limit before it is used as a shift.
        let available = bits > 16 ? nil : 1 << bits
        if let count, let available, count > available {
            throw Refused(message: "count is \(count), but \(network) has only \(available)")
        }
        guard let total = count ?? available else {
            throw Refused(
                message: width == 32
                    ? "\(network) has more than \(limit) addresses; split it"
                    : "\(network) has more than \(limit) members; say “one_per: 64” and “count: 256”, for example")
        }
        let base = UInt128(network.base.high) << 64 | UInt128(network.base.low)
        // In a subnet the first usable address; the zero one is its router's (RFC 4291 section 2.6.1).
        let host: UInt128 = onePer < width ? 1 : 0
        var members: [Member] = []
        members.reserveCapacity(total)
        for number in 0..<total {
            let value = base + (UInt128(number) << UInt128(width - onePer)) + host
            let address = IPAddress(
                high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
            if !exclude.contains(where: { $0.contains(address) }) {
                members.append(Member(number: number, address: address))
            }
        }
        return members
    }
}
