import Mail
import Queue

/// Writes the compact binary form of rows: counts and numbers as LEB128, text as length and UTF-8.
///
/// JSON would cost ten times the processor time and three times the octets of what is written for every message.
struct Packer {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 256) {
        bytes.reserveCapacity(capacity)
    }

    mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Zigzag: small numbers of either sign stay short.
    mutating func signed(_ value: Int64) {
        number(UInt64(bitPattern: value << 1 ^ value >> 63))
    }

    mutating func time(_ value: Timestamp) { signed(value.milliseconds) }

    mutating func text(_ value: String) {
        number(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    mutating func optional<Value>(_ value: Value?, _ write: (inout Packer, Value) -> Void) {
        byte(value == nil ? 0 : 1)
        if let value { write(&self, value) }
    }

    mutating func optionalText(_ value: String?) { optional(value) { $0.text($1) } }

    mutating func list<Element>(_ values: [Element], _ write: (inout Packer, Element) -> Void) {
        number(UInt64(values.count))
        for value in values { write(&self, value) }
    }

    mutating func address(_ value: Address) {
        text(value.localPart)
        text(value.domain)
    }

    mutating func path(_ value: ReversePath) {
        switch value {
        case .null: byte(0)
        case .address(let address):
            byte(1)
            self.address(address)
        }
    }
}

/// Reads what ``Packer`` wrote; every length is checked, since a disk may hand back anything.
struct Unpacker {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    /// The row is not what this program writes.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { place == bytes.count }

    mutating func byte() throws(Unreadable) -> UInt8 {
        guard place < bytes.count else { throw Unreadable(description: "row is cut short") }
        defer { place += 1 }
        return bytes[place]
    }

    mutating func number() throws(Unreadable) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 64 else { throw Unreadable(description: "number is too long") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    mutating func signed() throws(Unreadable) -> Int64 {
        let value = try number()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func time() throws(Unreadable) -> Timestamp { Timestamp(milliseconds: try signed()) }

    /// A number that counts something: 0 to `limit`.
    mutating func count(_ limit: Int) throws(Unreadable) -> Int {
        let value = try number()
        guard value <= UInt64(limit) else { throw Unreadable(description: "count \(value) is above \(limit)") }
        return Int(value)
    }

    mutating func text() throws(Unreadable) -> String {
        let length = try count(bytes.count)
        guard length <= bytes.count - place else { throw Unreadable(description: "text is cut short") }
        defer { place += length }
        return String(decoding: bytes[place..<place + length], as: UTF8.self)
    }

    mutating func optional<Value>(
        _ read: (inout Unpacker) throws(Unreadable) -> Value
    ) throws(Unreadable) -> Value? {
        switch try byte() {
        case 0: nil
        case 1: try read(&self)
        default: throw Unreadable(description: "neither absent nor present")
        }
    }

    mutating func optionalText() throws(Unreadable) -> String? {
        try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.text() }
    }

    mutating func list<Element>(
        _ read: (inout Unpacker) throws(Unreadable) -> Element
    ) throws(Unreadable) -> [Element] {
        // Each element has an octet at least, so a count is never above what is left.
        let count = try count(bytes.count - place)
        var values: [Element] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try read(&self)) }
        return values
    }

    mutating func address() throws(Unreadable) -> Address {
        Address(localPart: try text(), domain: try text())
    }

    mutating func addresses() throws(Unreadable) -> [Address] {
        try list { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.address() }
    }

    mutating func path() throws(Unreadable) -> ReversePath {
        switch try byte() {
        case 0: .null
        case 1: .address(try address())
        default: throw Unreadable(description: "unknown kind of sender")
        }
    }
}
