import Glibc
import NIOCore

/// Makes content transparent (RFC 5321 section 4.5.2) while it is being written, chunk by chunk.
struct DotStuffing {
    private var last: UInt8 = 10
    private var lastButOne: UInt8 = 13

    /// What ends the content: a line of one dot, and before it the CRLF that content without one lacks.
    var ending: ByteBuffer { last == 10 && lastButOne == 13 ? Self.dotLine : Self.newLineAndDotLine }

    static let dotLine = ByteBuffer(string: ".\r\n")
    private static let newLineAndDotLine = ByteBuffer(string: "\r\n.\r\n")

    /// The next chunk with a dot before each dot that starts a line; the chunk itself, uncopied, where there is none.
    mutating func stuff(_ chunk: ByteBuffer) -> ByteBuffer {
        let startsLine = last == 10
        let stuffed = chunk.withUnsafeReadableBytes { bytes -> ByteBuffer? in
            guard let base = bytes.baseAddress else { return nil }
            guard var dot = Self.dot(in: bytes, from: 0, startsLine: startsLine) else { return nil }
            // Room for a dot in every hundredth octet; it grows where there are more.
            var output = ByteBufferAllocator().buffer(capacity: bytes.count + bytes.count / 100 + 16)
            var written = 0
            while true {
                output.writeBytes(UnsafeRawBufferPointer(start: base + written, count: dot - written))
                output.writeInteger(UInt8(ascii: "."))
                written = dot
                guard let next = Self.dot(in: bytes, from: dot + 1, startsLine: false) else { break }
                dot = next
            }
            output.writeBytes(UnsafeRawBufferPointer(start: base + written, count: bytes.count - written))
            return output
        }
        remember(chunk)
        return stuffed ?? chunk
    }

    /// Offset of the next dot at the start of a line.
    private static func dot(in bytes: UnsafeRawBufferPointer, from start: Int, startsLine: Bool) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        if startsLine, start < bytes.count, bytes[start] == 46 { return start }
        var at = start
        while at < bytes.count, let feed = memchr(base + at, 10, bytes.count - at) {
            at = base.distance(to: UnsafeRawPointer(feed)) + 1
            if at < bytes.count, bytes[at] == 46 { return at }
        }
        return nil
    }

    private mutating func remember(_ chunk: ByteBuffer) {
        let end = chunk.readableBytesView.suffix(2)
        guard let newest = end.last else { return }
        lastButOne = end.count == 2 ? end[end.startIndex] : last
        last = newest
    }
}
