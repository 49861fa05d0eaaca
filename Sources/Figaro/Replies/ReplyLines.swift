import Delivery
import Glibc
import Mail

/// Reads replies from a file descriptor, one a line, whatever bytes they are made of, and hands on what can be read of
/// each: every line once, and never more than a few kilobytes of it in memory.
struct ReplyLines {
    /// What is kept of a line, in bytes; more than a reply is read by.
    static let limit = 8_192

    private var line: [UInt8] = []
    private var hasLine = false

    /// Calls `body` with each line until the end of the input; `pause` when all of what was there has been taken.
    ///
    /// - Throws: ``Unreadable``.
    mutating func read(_ file: Int32, _ body: (String) -> Void, pause: () -> Void) throws(Unreadable) {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
            guard count > 0 else { break }
            take(chunk[..<count], body)
            pause()
        }
        // The last line may lack its end.
        if hasLine { end(body) }
        pause()
    }

    struct Unreadable: Error {
        let reason: String
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>, _ body: (String) -> Void) {
        var rest = bytes
        while let end = rest.firstIndex(of: 10) {
            add(rest[..<end])
            self.end(body)
            rest = rest[(end + 1)...]
        }
        if !rest.isEmpty { add(rest) }
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>) {
        hasLine = true
        line += bytes.prefix(Self.limit - line.count)
    }

    private mutating func end(_ body: (String) -> Void) {
        body(Self.text(line[...]))
        line.removeAll(keepingCapacity: true)
        hasLine = false
    }

    /// UTF-8 where it is that, else ISO 8859-1, in which old servers write their umlauts.
    static func text(_ line: ArraySlice<UInt8>) -> String {
        var whole = line
        // A character that the limit cut in two.
        if line.count == limit {
            while let last = whole.last, last & 0xC0 == 0x80 { whole.removeLast() }
            if let last = whole.last, last >= 0xC0 { whole.removeLast() }
        }
        if let text = String(validating: whole, as: UTF8.self) { return text }
        return String(String.UnicodeScalarView(line.map { Unicode.Scalar($0) }))
    }

    /// A line as a reply: `CODE [ENHANCED] TEXT`; nil when it does not begin with a code.
    static func reply(_ line: String) -> Reply? {
        let text = line.drop { $0.isWhitespace || $0 == "\0" }
        guard let code = UInt16(text.prefix(3)), (200...599).contains(code), text.prefix(3).utf8.count == 3 else {
            return nil
        }
        let rest = text.dropFirst(3)
        guard rest.isEmpty || rest.first == "-" || rest.first?.isWhitespace == true else { return nil }
        return Reply(code: code, rest: rest.dropFirst())
    }
}
