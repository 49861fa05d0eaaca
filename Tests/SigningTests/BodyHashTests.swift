import NIOCore
import Testing

@testable import Signing

@Suite("Body hash, relaxed") struct BodyHashTests {
    private static func hash(_ body: String) -> String {
        var hash = BodyHash()
        hash.update(ByteBuffer(string: body))
        return hash.finished()
    }

    /// RFC 6376 section 3.4.4: the hash of nothing at all.
    private static let nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

    @Test(arguments: ["", "\r\n", "\r\n\r\n\r\n", " \t\r\n \r\n", "  "])
    func `a body of nothing but line ends and white space is empty`(_ body: String) {
        #expect(Self.hash(body) == Self.nothing)
    }

    @Test func `the message of RFC 8463 appendix A has the hash that stands there`() {
        let body = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
        #expect(Self.hash(body) == "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=")
    }

    /// RFC 6376 section 3.4.5, and what follows from section 3.4.4.
    @Test(arguments: [
        (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"), ("a", "a\r\n"), ("a\r\n \r\n\r\nb", "a\r\n\r\n\r\nb\r\n"),
        ("a \t \r\n\tb", "a\r\n b\r\n"), ("..dots\r\n.\r\n", "..dots\r\n.\r\n"),
        ("a\r\n\r\n   \r\n", "a\r\n"), ("caf\u{E9} \u{A0}x \r\n", "caf\u{E9} \u{A0}x\r\n"),
    ])
    func `what does not count does not count`(_ body: String, _ same: String) {
        #expect(Self.hash(body) == Self.hash(same))
        #expect(Self.hash(body) != Self.nothing)
    }

    @Test(arguments: [("a b\r\n", "ab\r\n"), ("a\r\n\r\nb\r\n", "a\r\nb\r\n"), (" a\r\n", "a\r\n"), ("a\rb", "a\r\nb")])
    func `what counts counts`(_ one: String, _ other: String) {
        #expect(Self.hash(one) != Self.hash(other))
    }

    @Test func `it is the same in whatever pieces the body comes`() {
        let body =
            "one  two \r\n\r\n \t\r\nthree\r\n.\r\n\r\n" + String(repeating: "long  line \r\n", count: 4_000)
            + "\r\n\r\n"
        let whole = Self.hash(body)
        for size in [1, 2, 3, 7, 4_096] {
            var hash = BodyHash()
            var rest = ByteBuffer(string: body)
            while let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
                hash.update(piece)
            }
            #expect(hash.finished() == whole)
        }
    }
}
