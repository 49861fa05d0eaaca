import Glibc

/// Reads the header fields of a message as they arrive, once, and remembers what receiving has to know of them.
///
/// It looks at whole lines that end in CRLF; bare CR and LF have been refused before it sees them.
package struct HeaderScan: Sendable {
    /// `Received` fields (RFC 5321 section 6.3).
    package private(set) var hops = 0
    package private(set) var hasDate = false
    package private(set) var hasMessageID = false
    /// From fields (RFC 5322 section 3.6.2), and what follows the colon of the first one.
    package private(set) var authorFields = 0
    package private(set) var authors = 0..<0
    /// The field that is being read is the first From.
    private var isInAuthors = false
    /// The header has octets above 127 (RFC 6532 section 3.2).
    package private(set) var eightBit = false
    /// The empty line, or a line that is no field, has been seen.
    package private(set) var ended = false
    /// The first line is neither a field nor empty: the text begins without a header.
    package private(set) var missing = false
    /// A line after the first fields is none, and no empty line came before it: readers disagree what it means.
    package private(set) var broken = false
    /// There are fields that may have to be taken out.
    package private(set) var hasUnwanted = false
    /// Where the next line to look at begins.
    private var position: Int
    package let start: Int
    private var fields = 0

    private static let nameOctets = OctetSet("", ranges: 33...57, 59...126)

    /// - Parameter start: offset of the first octet of the message in what is handed to ``advance(_:)``.
    package init(start: Int = 0) {
        self.start = start
        self.position = start
    }

    /// Octets of the fields that were seen whole.
    package var size: Int { position - start }

    /// Looks at the lines that have come in; `content` is everything since the beginning, also what was seen before.
    package mutating func advance(_ content: UnsafeRawBufferPointer) {
        while !ended, let feed = Self.find(10, content, position..<content.count) {
            line(content, position..<feed + 1)
        }
    }

    /// The message is over: what follows the last CRLF, if anything, was no header line.
    package mutating func finish() {
        ended = true
    }

    private mutating func line(_ content: UnsafeRawBufferPointer, _ range: Range<Int>) {
        let first = content[range.lowerBound]
        if first == 13 {
            ended = true
            return
        }
        if first == 32 || first == 9 {
            guard fields > 0 else { return noField() }
            if isInAuthors { authors = authors.lowerBound..<range.upperBound }
        } else {
            guard let colon = Self.find(58, content, range), isName(content, range.lowerBound..<colon) else {
                return noField()
            }
            isInAuthors = false
            note(content, range.lowerBound..<colon)
            if isInAuthors { authors = colon + 1..<range.upperBound }
            fields += 1
        }
        if !eightBit {
            for index in range where content[index] > 127 {
                eightBit = true
                break
            }
        }
        position = range.upperBound
    }

    private mutating func noField() {
        ended = true
        missing = fields == 0
        broken = fields > 0
    }

    /// White space before the colon is old but read (RFC 5322 section 4.5).
    private func isName(_ content: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        let end = Self.nameEnd(content, range)
        guard end > range.lowerBound else { return false }
        for index in range.lowerBound..<end where !Self.nameOctets.contains(content[index]) { return false }
        return true
    }

    private mutating func note(_ content: UnsafeRawBufferPointer, _ range: Range<Int>) {
        let name = range.lowerBound..<Self.nameEnd(content, range)
        switch name.count {
        case 3: hasUnwanted = hasUnwanted || Self.equal(content, name, "bcc")
        case 4:
            hasDate = hasDate || Self.equal(content, name, "date")
            guard Self.equal(content, name, "from") else { return }
            isInAuthors = authorFields == 0
            authorFields += 1
        case 8: hops += Self.equal(content, name, "received") ? 1 : 0
        case 10:
            hasMessageID = hasMessageID || Self.equal(content, name, "message-id")
            hasUnwanted = hasUnwanted || Self.equal(content, name, "resent-bcc")
        case 11: hasUnwanted = hasUnwanted || Self.equal(content, name, "return-path")
        case 22: hasUnwanted = hasUnwanted || Self.equal(content, name, "authentication-results")
        default: break
        }
        if name.count > 9, Self.equal(content, name.prefix(9), "x-figaro-") { hasUnwanted = true }
    }

    private static func nameEnd(_ content: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int {
        var end = range.upperBound
        while end > range.lowerBound, content[end - 1] == 32 || content[end - 1] == 9 { end -= 1 }
        return end
    }

    private static func equal(_ content: UnsafeRawBufferPointer, _ range: Range<Int>, _ name: StaticString) -> Bool {
        name.withUTF8Buffer { name in
            for (offset, index) in range.enumerated() {
                let octet = content[index]
                guard ((65...90).contains(octet) ? octet | 32 : octet) == name[offset] else { return false }
            }
            return true
        }
    }

    private static func find(_ octet: Int32, _ content: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = content.baseAddress else { return nil }
        guard let hit = memchr(base + range.lowerBound, octet, range.count) else { return nil }
        return UnsafeRawPointer(hit) - base
    }
}
