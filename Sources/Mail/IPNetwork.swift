/// A CIDR block, such as `192.0.2.0/24` or `2001:db8::/48`.
package struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    /// The lowest address; its host bits are zero.
    package let base: IPAddress
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    package let prefix: Int

    /// Clears the host bits of `address`; nil when `prefix` is out of range for its family.
    package init?(_ address: IPAddress, prefix: Int) {
        guard prefix >= 0, prefix <= (address.isIPv4 ? 32 : 128) else { return nil }
        self.prefix = prefix
        let mask = Self.mask(address.isIPv4 ? prefix + 96 : prefix)
        self.base = IPAddress(high: address.high & mask.high, low: address.low & mask.low)
    }

    /// Reads `address/prefix`, or a bare address as a network of one; nil when it is neither.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefix: address.isIPv4 ? 32 : 128)
            return
        }
        guard parts[1].allSatisfy(\.isNumber), let prefix = Int(parts[1]) else { return nil }
        self.init(address, prefix: prefix)
    }

    package func contains(_ address: IPAddress) -> Bool {
        guard address.isIPv4 == base.isIPv4 else { return false }
        let mask = Self.mask(base.isIPv4 ? prefix + 96 : prefix)
        return address.high & mask.high == base.high && address.low & mask.low == base.low
    }

    package var description: String { "\(base)/\(prefix)" }

    private static func mask(_ bits: Int) -> (high: UInt64, low: UInt64) {
        let high: UInt64 = bits >= 64 ? .max : (bits == 0 ? 0 : ~(.max >> UInt64(bits)))
        let low: UInt64 = bits <= 64 ? 0 : (bits >= 128 ? .max : ~(.max >> UInt64(bits - 64)))
        return (high, low)
    }
}
