import Mail

/// Reads record data off the wire (RFC 1035 section 3.3). Whatever the bytes are, the result is a record or nil.
enum RecordData {
    static func read(_ bytes: [UInt8], as type: RecordType) -> Lookup.Record? {
        switch type {
        case .a:
            guard bytes.count == 4 else { return nil }
            return .address(IPAddress(v4: bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        case .aaaa:
            guard bytes.count == 16 else { return nil }
            let high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
            let low = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
            return .address(IPAddress(high: high, low: low))
        case .ptr: return name(bytes[...]).map { .pointer($0) }
        case .txt: return text(bytes).map { .text($0) }
        case .mx:
            guard bytes.count >= 3, let host = name(bytes[2...]) else { return nil }
            return .mx(preference: UInt16(bytes[0]) << 8 | UInt16(bytes[1]), host: host)
        }
    }

    /// Character strings one after another (RFC 1035 section 3.3.14), joined; nil when the last one is cut short.
    private static func text(_ bytes: [UInt8]) -> String? {
        var rest = bytes[...]
        var text = ""
        while let length = rest.popFirst() {
            guard rest.count >= Int(length) else { return nil }
            text.unicodeScalars.append(contentsOf: rest.prefix(Int(length)).map { Unicode.Scalar($0) })
            rest = rest.dropFirst(Int(length))
        }
        return text
    }

    /// A whole uncompressed name (RFC 1035 section 3.1) as text; nil when it is cut short, too long, compressed or
    /// followed by something. Bytes that would not be themselves in text come as `\DDD`.
    static func name(_ bytes: ArraySlice<UInt8>) -> String? {
        guard bytes.count <= 255 else { return nil }
        var rest = bytes
        var labels: [String] = []
        while let length = rest.popFirst() {
            if length == 0 {
                return rest.isEmpty ? labels.joined(separator: ".") : nil
            }
            guard length <= 63, rest.count >= Int(length) else { return nil }
            labels.append(rest.prefix(Int(length)).map(text(of:)).joined())
            rest = rest.dropFirst(Int(length))
        }
        return nil
    }

    private static func text(of byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"):
            return String(UnicodeScalar(byte + 32))
        case 33...126 where byte != UInt8(ascii: ".") && byte != UInt8(ascii: "\\"):
            return String(UnicodeScalar(byte))
        default:
            let digits = String(byte)
            return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
        }
    }
}
