/// A set of ASCII octets, asked once per octet of every address and header: two words instead of a table.
struct OctetSet: Sendable {
    private let low: UInt64
    private let high: UInt64

    init(_ text: StaticString, ranges: ClosedRange<UInt8>...) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        func insert(_ octet: UInt8) {
            if octet < 64 { low |= 1 << UInt64(octet) } else if octet < 128 { high |= 1 << UInt64(octet - 64) }
        }
        text.withUTF8Buffer { $0.forEach(insert) }
        for range in ranges { range.forEach(insert) }
        self.low = low
        self.high = high
    }

    func contains(_ octet: UInt8) -> Bool {
        octet < 64 ? low >> UInt64(octet) & 1 == 1 : octet < 128 && high >> UInt64(octet & 63) & 1 == 1
    }
}
