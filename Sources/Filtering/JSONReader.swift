/// Reads JSON that somebody else wrote: strictly, and within bounds on depth and number of values.
struct JSONReader {
    /// Deeper nesting is refused, which keeps the reader's own recursion short.
    private static let deepest = 24
    /// More values than any verdict has.
    private static let most = 50_000

    private let bytes: UnsafeRawBufferPointer
    private var place = 0
    private var count = 0

    /// The text is no JSON, or more than is read.
    struct Unreadable: Error, Hashable {
        let place: Int
        let reason: String
    }

    private init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// - Throws: ``Unreadable`` also where something follows the value.
    static func read(_ bytes: UnsafeRawBufferPointer) throws(Unreadable) -> JSON {
        var reader = JSONReader(bytes)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.place == bytes.count else { throw reader.bad("something follows the value") }
        return value
    }

    private func bad(_ reason: String) -> Unreadable { Unreadable(place: place, reason: reason) }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func skipSpace() {
        while let octet = next, octet == 32 || octet == 10 || octet == 13 || octet == 9 { place += 1 }
    }

    private mutating func expect(_ octet: UInt8) throws(Unreadable) {
        guard next == octet else { throw bad("“\(Character(Unicode.Scalar(octet)))” expected") }
        place += 1
    }

    private mutating func value(depth: Int) throws(Unreadable) -> JSON {
        guard depth < Self.deepest else { throw bad("too deep") }
        count += 1
        guard count <= Self.most else { throw bad("too many values") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(Unreadable) -> JSON {
        let length = word.utf8CodeUnitCount
        let isThere = word.withUTF8Buffer { expected in
            bytes.count - place >= length && bytes[place..<place + length].elementsEqual(expected)
        }
        guard isThere else { throw bad("“\(word)” expected") }
        place += length
        return value
    }

    private mutating func object(_ depth: Int) throws(Unreadable) -> JSON {
        place += 1
        var members: [JSON.Member] = []
        skipSpace()
        if next == UInt8(ascii: "}") {
            place += 1
            return .object([])
        }
        while true {
            skipSpace()
            let name = try string()
            skipSpace()
            try expect(UInt8(ascii: ":"))
            members.append(JSON.Member(name: name, value: try value(depth: depth + 1)))
            guard try goesOn(until: UInt8(ascii: "}")) else { return .object(members) }
        }
    }

    private mutating func array(_ depth: Int) throws(Unreadable) -> JSON {
        place += 1
        var elements: [JSON] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            place += 1
            return .array([])
        }
        while true {
            elements.append(try value(depth: depth + 1))
            guard try goesOn(until: UInt8(ascii: "]")) else { return .array(elements) }
        }
    }

    private mutating func goesOn(until end: UInt8) throws(Unreadable) -> Bool {
        skipSpace()
        if next == end {
            place += 1
            return false
        }
        try expect(UInt8(ascii: ","))
        return true
    }

    private mutating func number() throws(Unreadable) -> Double {
        let start = place
        while let octet = next, (48...57).contains(octet) || [43, 45, 46, 69, 101].contains(octet) { place += 1 }
        guard place > start, place - start <= 64 else { throw bad("a value expected") }
        guard let value = Double(String(decoding: bytes[start..<place], as: UTF8.self)), value.isFinite else {
            throw bad("a number expected")
        }
        return value
    }

    private mutating func string() throws(Unreadable) -> String {
        try expect(UInt8(ascii: "\""))
        var octets: [UInt8] = []
        while let octet = next {
            place += 1
            switch octet {
            case UInt8(ascii: "\""): return String(decoding: octets, as: UTF8.self)
            case UInt8(ascii: "\\"): octets += try escaped()
            case 0..<32: throw bad("a control character")
            default: octets.append(octet)
            }
        }
        throw bad("a text without end")
    }

    private mutating func escaped() throws(Unreadable) -> [UInt8] {
        guard let octet = next else { throw bad("a text without end") }
        place += 1
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [octet]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"): return Array(String(Character(try scalar())).utf8)
        default: throw bad("an unknown escape")
        }
    }

    /// A half of a pair without the other stands for nothing.
    private mutating func scalar() throws(Unreadable) -> Unicode.Scalar {
        let first = try hex()
        if (0xD800..<0xDC00).contains(first), next == UInt8(ascii: "\\"), place + 1 < bytes.count,
            bytes[place + 1] == UInt8(ascii: "u")
        {
            place += 2
            let second = try hex()
            if (0xDC00..<0xE000).contains(second) {
                return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
            }
            return "\u{FFFD}"
        }
        return Unicode.Scalar(first) ?? "\u{FFFD}"
    }

    private mutating func hex() throws(Unreadable) -> UInt32 {
        guard bytes.count - place >= 4 else { throw bad("four hexadecimal digits expected") }
        var value: UInt32 = 0
        for octet in bytes[place..<place + 4] {
            let digit: UInt8
            switch octet {
            case 48...57: digit = octet - 48
            case 65...70: digit = octet - 55
            case 97...102: digit = octet - 87
            default: throw bad("four hexadecimal digits expected")
            }
            value = value << 4 | UInt32(digit)
        }
        place += 4
        return value
    }
}
