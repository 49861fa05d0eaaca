import Glibc
package import NIOCore

/// Reads content as it arrives: takes dot-stuffing out, finds the end, and refuses what is no line of text
/// (RFC 5321 section 4.5.2 and section 2.3.8). Content that comes in chunks has neither stuffing nor an end of its own,
/// and is held to the same lines.
///
/// Lines are found with `memchr` and copied in runs, so that octets that need nothing cost next to nothing.
package struct ContentDecoder: Sendable {
    package enum Step: Hashable, Sendable {
        /// All input was taken; the end has not come.
        case more
        /// CRLF.CRLF: the input that is left is no content.
        case end
        /// Neither content nor what follows it may be looked at.
        case bareCR, bareLF
    }

    /// Where in a line the next octet stands.
    private enum Place {
        case lineStart, dot, dotCR, line, cr
    }

    /// Octets of content so far, dot-stuffing removed.
    package private(set) var octets = 0
    /// Content has octets above 127.
    package private(set) var eightBit = false
    package private(set) var hasNUL = false
    /// A line is longer than the limit.
    package private(set) var hasLongLine = false
    /// Content is counted and checked, but not kept.
    package var discards = false

    private let lineLimit: Int
    private let isDotted: Bool
    private var place = Place.lineStart
    private var column = 0

    /// - Parameters:
    ///   - lineLimit: octets of a line without its CRLF.
    ///   - isDotted: false for content that comes in chunks.
    package init(lineLimit: Int, isDotted: Bool = true) {
        self.lineLimit = lineLimit
        self.isDotted = isDotted
    }

    /// The last octets were a line's CRLF.
    package var isAtLineStart: Bool { octets > 0 && place == .lineStart }

    /// Takes what can be taken off `input` and appends its content to `output`.
    package mutating func decode(_ input: inout ByteBuffer, into output: inout ByteBuffer) -> Step {
        var used = 0
        let step = input.withUnsafeReadableBytes { scan($0, &used, &output) }
        input.moveReaderIndex(forwardBy: used)
        return step
    }

    private mutating func scan(
        _ source: UnsafeRawBufferPointer, _ index: inout Int, _ output: inout ByteBuffer
    ) -> Step {
        var run = 0
        while index < source.count {
            switch place {
            case .lineStart:
                column = 0
                place = .line
                if isDotted, source[index] == UInt8(ascii: ".") {
                    keep(source, run..<index, &output)
                    index += 1
                    run = index
                    place = .dot
                }
            case .dot:
                place = .line
                if source[index] == 13 {
                    index += 1
                    run = index
                    place = .dotCR
                }
            case .dotCR:
                guard source[index] == 10 else { return .bareCR }
                index += 1
                return .end
            case .line:
                let step = line(source, &index)
                guard step == .more else { return step }
            case .cr:
                guard source[index] == 10 else { return .bareCR }
                index += 1
                place = .lineStart
            }
        }
        keep(source, run..<index, &output)
        return .more
    }

    /// Goes on to the end of the line, or of the input.
    private mutating func line(_ source: UnsafeRawBufferPointer, _ index: inout Int) -> Step {
        let feed = Self.find(10, source, index..<source.count)
        let cr = Self.find(13, source, index..<(feed ?? source.count))
        if let cr, cr + 1 < (feed ?? source.count) { return .bareCR }
        if feed != nil, cr == nil { return .bareLF }
        column += (cr ?? source.count) - index
        if column > lineLimit { hasLongLine = true }
        if let feed {
            index = feed + 1
            place = .lineStart
        } else {
            index = source.count
            if cr != nil { place = .cr }
        }
        return .more
    }

    private mutating func keep(_ source: UnsafeRawBufferPointer, _ run: Range<Int>, _ output: inout ByteBuffer) {
        guard !run.isEmpty else { return }
        octets += run.count
        let bytes = UnsafeRawBufferPointer(rebasing: source[run])
        if !eightBit { eightBit = Self.hasHighBit(bytes) }
        if !hasNUL { hasNUL = Self.find(0, source, run) != nil }
        if !discards { output.writeBytes(bytes) }
    }

    private static func hasHighBit(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let words = bytes.count / 8
        var seen: UInt64 = 0
        for word in 0..<words { seen |= bytes.loadUnaligned(fromByteOffset: word &* 8, as: UInt64.self) }
        for index in words * 8..<bytes.count { seen |= UInt64(bytes[index]) }
        return seen & 0x8080_8080_8080_8080 != 0
    }

    private static func find(_ octet: Int32, _ source: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = source.baseAddress else { return nil }
        guard let hit = memchr(base + range.lowerBound, octet, range.count) else { return nil }
        return UnsafeRawPointer(hit) - base
    }
}
