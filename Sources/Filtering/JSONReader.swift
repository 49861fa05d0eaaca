/// Reads JSON (RFC 8259) from front to back. Whoever reads says what is to come next; what is not wanted is checked and
/// passed over without a copy, which is most of an answer.
///
/// Octets may be anything: the result is a value or ``Fault``.
struct JSONReader {
    /// Where it is no JSON, or another value than was asked for: how many octets had been read.
    struct Fault: Error {
        var place: Int
    }

    /// Values within one another.
    private static let deepest = 64

    private let octets: [UInt8]
    private var place = 0
    private var depth = 0

    init(_ octets: [UInt8]) throws(Fault) {
        guard String(validating: octets, as: UTF8.self) != nil else { throw Fault(place: 0) }
        self.octets = octets
    }

    private var fault: Fault { Fault(place: place) }

    private var next: UInt8? { place < octets.count ? octets[place] : nil }

    private mutating func skipSpace() {
        while let octet = next, octet == 32 || octet == 10 || octet == 13 || octet == 9 { place += 1 }
    }

    private mutating func take(_ octet: UInt8) throws(Fault) {
        guard next == octet else { throw fault }
        place += 1
    }

    private mutating func takes(_ octet: UInt8) -> Bool {
        guard next == octet else { return false }
        place += 1
        return true
    }

    private mutating func take(word: StaticString) throws(Fault) {
        for index in 0..<word.utf8CodeUnitCount { try take(word.utf8Start[index]) }
    }

    /// Nothing follows but white space.
    mutating func end() throws(Fault) {
        skipSpace()
        guard next == nil else { throw fault }
    }

    // MARK: what is wanted

    /// The first octet of the next value: `{`, `[`, `"`, or what other values begin with.
    mutating func peek() -> UInt8? {
        skipSpace()
        return next
    }

    /// nil where there is `null`.
    mutating func optional<Value>(
        _ read: (inout JSONReader) throws(Fault) -> Value
    ) throws(Fault) -> Value? {
        guard peek() == UInt8(ascii: "n") else { return try read(&self) }
        try take(word: "null")
        return nil
    }

    /// Calls with each name; what it does not read it passes over by ``skip()``.
    mutating func object(_ member: (String, inout JSONReader) throws(Fault) -> Void) throws(Fault) {
        try enter(UInt8(ascii: "{"))
        if !closes(UInt8(ascii: "}")) {
            repeat {
                let name = try string()
                skipSpace()
                try take(UInt8(ascii: ":"))
                try member(name, &self)
                skipSpace()
            } while takes(UInt8(ascii: ","))
            try take(UInt8(ascii: "}"))
        }
        depth -= 1
    }

    /// Members by name; the last of those with the same one.
    mutating func named<Value>(
        _ read: (inout JSONReader) throws(Fault) -> Value
    ) throws(Fault) -> [String: Value] {
        var named: [String: Value] = [:]
        try object { name, reader throws(Fault) in named[name] = try read(&reader) }
        return named
    }

    mutating func array(_ element: (inout JSONReader) throws(Fault) -> Void) throws(Fault) {
        try enter(UInt8(ascii: "["))
        if !closes(UInt8(ascii: "]")) {
            repeat {
                try element(&self)
                skipSpace()
            } while takes(UInt8(ascii: ","))
            try take(UInt8(ascii: "]"))
        }
        depth -= 1
    }

    private mutating func enter(_ bracket: UInt8) throws(Fault) {
        skipSpace()
        try take(bracket)
        depth += 1
        guard depth <= Self.deepest else { throw fault }
    }

    private mutating func closes(_ bracket: UInt8) -> Bool {
        skipSpace()
        return takes(bracket)
    }

    mutating func string() throws(Fault) -> String {
        let start = place
        let (range, isEscaped) = try stringRange()
        guard isEscaped else { return String(decoding: octets[range], as: UTF8.self) }
        guard let text = Self.unescaped(octets[range]) else { throw Fault(place: start) }
        return text
    }

    /// Finite.
    mutating func double() throws(Fault) -> Double {
        let range = try numberRange()
        guard let value = Double(String(decoding: octets[range], as: UTF8.self)), value.isFinite else { throw fault }
        return value
    }

    mutating func int() throws(Fault) -> Int {
        guard let value = Int(exactly: try double()) else { throw fault }
        return value
    }

    mutating func skip() throws(Fault) {
        switch peek() {
        case UInt8(ascii: "{"):
            try enter(UInt8(ascii: "{"))
            if !closes(UInt8(ascii: "}")) {
                repeat {
                    _ = try stringRange()
                    skipSpace()
                    try take(UInt8(ascii: ":"))
                    try skip()
                    skipSpace()
                } while takes(UInt8(ascii: ","))
                try take(UInt8(ascii: "}"))
            }
            depth -= 1
        case UInt8(ascii: "["): try array { reader throws(Fault) in try reader.skip() }
        case UInt8(ascii: "\""): _ = try stringRange()
        case UInt8(ascii: "t"): try take(word: "true")
        case UInt8(ascii: "f"): try take(word: "false")
        case UInt8(ascii: "n"): try take(word: "null")
        default: _ = try numberRange()
        }
    }

    // MARK: octets

    /// What stands between the quotation marks.
    private mutating func stringRange() throws(Fault) -> (Range<Int>, isEscaped: Bool) {
        skipSpace()
        try take(UInt8(ascii: "\""))
        let start = place
        var isEscaped = false
        while let octet = next {
            switch octet {
            case UInt8(ascii: "\""):
                place += 1
                return (start..<place - 1, isEscaped)
            case UInt8(ascii: "\\"):
                isEscaped = true
                place += 1
                try escape()
            case 0..<32: throw fault
            default: place += 1
            }
        }
        throw fault
    }

    /// What follows a backslash (RFC 8259 section 7).
    private mutating func escape() throws(Fault) {
        guard let octet = next else { throw fault }
        place += 1
        guard octet == UInt8(ascii: "u") else {
            guard Self.plain(octet) != nil else { throw fault }
            return
        }
        for _ in 0..<4 {
            guard let digit = next, Self.digit(digit) != nil else { throw fault }
            place += 1
        }
    }

    private mutating func numberRange() throws(Fault) -> Range<Int> {
        skipSpace()
        let start = place
        _ = takes(UInt8(ascii: "-"))
        if !takes(UInt8(ascii: "0")) { try digits() }
        if takes(UInt8(ascii: ".")) { try digits() }
        if takes(UInt8(ascii: "e")) || takes(UInt8(ascii: "E")) {
            if !takes(UInt8(ascii: "+")) { _ = takes(UInt8(ascii: "-")) }
            try digits()
        }
        return start..<place
    }

    /// 1 or more.
    private mutating func digits() throws(Fault) {
        let start = place
        while let octet = next, (48...57).contains(octet) { place += 1 }
        guard place > start else { throw fault }
    }

    // MARK: escapes

    private static func plain(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): octet
        case UInt8(ascii: "b"): 8
        case UInt8(ascii: "f"): 12
        case UInt8(ascii: "n"): 10
        case UInt8(ascii: "r"): 13
        case UInt8(ascii: "t"): 9
        default: nil
        }
    }

    private static func digit(_ octet: UInt8) -> UInt16? {
        switch octet {
        case 48...57: UInt16(octet - 48)
        case 65...70, 97...102: UInt16((octet | 32) - 87)
        default: nil
        }
    }

    /// nil where half a surrogate stands alone. The escapes are whole.
    private static func unescaped(_ octets: ArraySlice<UInt8>) -> String? {
        var units: [UInt16] = []
        var text = ""
        var rest = octets
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "\\") else {
                guard flush(&units, to: &text) else { return nil }
                let length = 1 + (rest.firstIndex(of: UInt8(ascii: "\\")) ?? rest.endIndex) - rest.startIndex
                text += String(decoding: octets[(rest.startIndex - 1)...].prefix(length), as: UTF8.self)
                rest = rest.dropFirst(length - 1)
                continue
            }
            guard let kind = rest.popFirst() else { return nil }
            if let plain = plain(kind) {
                units.append(UInt16(plain))
            } else {
                units.append(rest.prefix(4).reduce(0) { $0 << 4 | (digit($1) ?? 0) })
                rest = rest.dropFirst(4)
            }
        }
        return flush(&units, to: &text) ? text : nil
    }

    private static func flush(_ units: inout [UInt16], to text: inout String) -> Bool {
        guard !units.isEmpty else { return true }
        guard let part = String(validating: units, as: UTF16.self) else { return false }
        text += part
        units = []
        return true
    }
}
