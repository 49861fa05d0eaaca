import Glibc
import Mail
import NIOCore

/// Cuts what a host sends into replies (RFC 5321 section 4.2). Bounded, whatever comes; lenient only about a bare LF at
/// a line's end.
struct ReplyParser {
    enum Step: Equatable {
        case incomplete
        /// A whole reply; ``ReplyParser/reply()`` makes its words until the next step.
        case reply(code: UInt16)
        /// Not SMTP, or beyond the bounds; there is no going on.
        case nonsense(String)
    }

    /// EHLO replies of real hosts have some 20 lines; a banner with a policy has as many.
    private static let maximumLines = 100
    private static let maximumBytes = 65_536
    /// What of the text is kept.
    private static let maximumText = 4_096

    private var pending = ByteBuffer()
    private var code: UInt16 = 0
    private var lines = 0
    private var bytes = 0
    private var text: [UInt8] = []

    /// Nothing of a further reply has come.
    var isEmpty: Bool { lines == 0 && pending.readableBytes == 0 }

    mutating func feed(_ incoming: ByteBuffer) {
        guard pending.readableBytes > 0 else {
            pending = incoming
            return
        }
        var incoming = incoming
        pending.writeBuffer(&incoming)
    }

    mutating func next() -> Step {
        if lines == 0 {
            text.removeAll(keepingCapacity: true)
        }
        while let length = lengthOfLine() {
            bytes += length
            lines += 1
            guard lines <= Self.maximumLines, bytes <= Self.maximumBytes else { return .nonsense("endless reply") }
            switch takeLine(length) {
            case .garbage: return .nonsense("not an SMTP reply: \(startOfGarbage(length))")
            case .codesDiffer: return .nonsense("codes differ within one reply")
            case .more: break
            case .last:
                drop(length)
                lines = 0
                bytes = 0
                return .reply(code: code)
            }
            drop(length)
        }
        return bytes + pending.readableBytes > Self.maximumBytes ? .nonsense("endless reply") : .incomplete
    }

    /// The last reply in words; valid between the ``Step/reply(code:)`` and the next step.
    func reply() -> Reply { ReplyText.reply(code, text) }

    private enum Line {
        case more, last, garbage, codesDiffer
    }

    /// Octets of the next line with its LF; nil when it is not all there.
    private func lengthOfLine() -> Int? {
        pending.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress, let feed = memchr(base, 10, bytes.count) else { return nil }
            return base.distance(to: UnsafeRawPointer(feed)) + 1
        }
    }

    private mutating func drop(_ length: Int) {
        pending.moveReaderIndex(forwardBy: length)
        if pending.readableBytes == 0 {
            // Lets the channel reuse its buffer.
            pending = ByteBuffer()
        }
    }

    private mutating func takeLine(_ length: Int) -> Line {
        let first = lines == 1
        let expected = code
        var text = self.text
        self.text = []
        defer { self.text = text }
        let (line, found) = pending.withUnsafeReadableBytes { bytes -> (Line, UInt16) in
            var line = bytes[..<(bytes.startIndex + length - 1)]
            if line.last == 13 { line = line.dropLast() }
            guard line.count >= 3, let code = Self.code(line), line.count == 3 || line[3] == 32 || line[3] == 45 else {
                return (.garbage, 0)
            }
            guard first || code == expected else { return (.codesDiffer, code) }
            if !first, text.count < Self.maximumText { text.append(10) }
            text.append(contentsOf: line.dropFirst(4).prefix(Self.maximumText - min(text.count, Self.maximumText)))
            return (line.count > 3 && line[3] == 45 ? .more : .last, code)
        }
        code = found
        return line
    }

    /// 200 to 599; nil for all else.
    private static func code(_ line: Slice<UnsafeRawBufferPointer>) -> UInt16? {
        var code: UInt16 = 0
        for byte in line.prefix(3) {
            guard (48...57).contains(byte) else { return nil }
            code = code * 10 + UInt16(byte - 48)
        }
        return (200...599).contains(code) ? code : nil
    }

    private func startOfGarbage(_ length: Int) -> String {
        let start = pending.readableBytesView.prefix(min(length, 60)).filter { $0 != 10 && $0 != 13 }
        return ReplyText.harmless(Array(start)[...])
    }
}
