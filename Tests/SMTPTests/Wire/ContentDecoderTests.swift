import NIOCore
import SMTP
import Testing

/// What a client sends after 354, what content that is, and how it ends.
struct ContentFixture: CustomTestStringConvertible, Sendable {
    var wire: String
    /// nil when there is nothing to compare because the session ends.
    var content: String?
    var step: ContentDecoder.Step
    var left = ""

    var testDescription: String { wire.debugDescription }

    init(_ wire: String, _ content: String, _ step: ContentDecoder.Step, left: String = "") {
        self.wire = wire
        self.content = content
        self.step = step
        self.left = left
    }

    init(_ wire: String, _ step: ContentDecoder.Step) {
        self.wire = wire
        self.step = step
    }
}

@Suite("Content")
struct ContentDecoderTests {
    /// Decodes the pieces one after the other.
    private func decode(
        _ pieces: [some Sequence<UInt8>], limit: Int = 998
    ) -> (decoder: ContentDecoder, step: ContentDecoder.Step, content: ByteBuffer, left: ByteBuffer) {
        var decoder = ContentDecoder(lineLimit: limit)
        var content = ByteBuffer()
        var input = ByteBuffer()
        var step = ContentDecoder.Step.more
        for piece in pieces {
            input.writeBytes(piece)
            guard step == .more else { continue }
            step = decoder.decode(&input, into: &content)
        }
        return (decoder, step, content, input)
    }

    @Test(arguments: [
        ContentFixture(".\r\n", "", .end),
        ContentFixture("a\r\n.\r\n", "a\r\n", .end),
        ContentFixture("a\r\n.\r\nQUIT\r\n", "a\r\n", .end, left: "QUIT\r\n"),
        ContentFixture("..\r\n.\r\n", ".\r\n", .end),
        ContentFixture(".a\r\n..b\r\n...\r\n.\r\n", "a\r\n.b\r\n..\r\n", .end),
        ContentFixture("a.\r\n.\r\n", "a.\r\n", .end),
        ContentFixture("\r\n\r\n.\r\n", "\r\n\r\n", .end),
        ContentFixture("", "", .more), ContentFixture("a", "a", .more), ContentFixture("a\r", "a\r", .more),
        ContentFixture("a\r\n", "a\r\n", .more), ContentFixture("a\r\n.", "a\r\n", .more),
        ContentFixture("a\r\n.\r", "a\r\n", .more),
        // Each of these has been taken for the end of a message by some server.
        ContentFixture("a\n.\nQUIT\r\n", .bareLF), ContentFixture("a\r.\rQUIT\r\n", .bareCR),
        ContentFixture("a\n.\r\nQUIT\r\n", .bareLF), ContentFixture("a\r\n.\nQUIT\r\n", .bareLF),
        ContentFixture("a\r\n.\rQUIT\r\n", .bareCR), ContentFixture("a\r.\r\nQUIT\r\n", .bareCR),
        ContentFixture("a\r\r\n.\r\n", .bareCR), ContentFixture("a\n\r\n.\r\n", .bareLF),
        ContentFixture("a\r\n\n.\r\n", .bareLF), ContentFixture("a\r\n.\r\r\n", .bareCR),
        ContentFixture("\n", .bareLF), ContentFixture("a\rb", .bareCR), ContentFixture(".\n", .bareLF),
        ContentFixture("a\r\n..\n", .bareLF), ContentFixture("\r\n.\r\u{0}\n", .bareCR),
    ])
    func `only CRLF.CRLF ends it, cut at every octet`(_ fixture: ContentFixture) {
        let octets = Array(fixture.wire.utf8)
        var cuts: [[[UInt8]]] = (0...octets.count).map { [Array(octets[..<$0]), Array(octets[$0...])] }
        cuts.append(octets.map { [$0] })
        for pieces in cuts {
            let found = decode(pieces)
            #expect(found.step == fixture.step)
            guard let content = fixture.content else { continue }
            #expect(String(buffer: found.content) == content)
            #expect(found.decoder.octets == content.utf8.count)
            #expect(String(buffer: found.left) == fixture.left)
        }
    }

    @Test
    func `lines are measured without CRLF and without stuffing`() {
        let line = String(repeating: "x", count: 10)
        #expect(!decode(["\(line)\r\n.\r\n".utf8], limit: 10).decoder.hasLongLine)
        #expect(decode(["x\(line)\r\n.\r\n".utf8], limit: 10).decoder.hasLongLine)
        #expect(!decode([".\(line)\r\n.\r\n".utf8], limit: 10).decoder.hasLongLine)
        #expect(decode(["xxxxx".utf8, "xxxxxx".utf8], limit: 10).decoder.hasLongLine)
        #expect(!decode(["xxxxx".utf8, "xxxxx\r".utf8, "\nxxxxxxx".utf8], limit: 10).decoder.hasLongLine)
    }

    @Test
    func `NUL and octets above 127 are noticed, but not behind the end`() {
        #expect(decode([[97, 0, 13, 10]]).decoder.hasNUL)
        #expect(decode(["0123456789é\r\n.\r\n".utf8]).decoder.eightBit)
        let after = decode([Array("a\r\n.\r\n".utf8) + [0, 255]])
        #expect(!after.decoder.hasNUL && !after.decoder.eightBit && after.step == .end)
    }

    @Test
    func `content that is thrown away is still counted and still ends`() {
        var decoder = ContentDecoder(lineLimit: 998)
        decoder.discards = true
        var input = ByteBuffer(string: "abc\r\n..\r\n.\r\nQUIT\r\n")
        var content = ByteBuffer()
        #expect(decoder.decode(&input, into: &content) == .end)
        #expect(content.readableBytes == 0 && decoder.octets == 8 && String(buffer: input) == "QUIT\r\n")
    }

    @Test
    func `random text comes out as it went in`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var lines: [String] = []
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                lines.append(
                    String(
                        (0..<Int.random(in: 0..<5, using: &random)).map { _ in ".a".randomElement(using: &random) ?? "b"
                        }))
            }
            let content = lines.map { $0 + "\r\n" }.joined()
            let wire = lines.map { ($0.hasPrefix(".") ? "." : "") + $0 + "\r\n" }.joined() + ".\r\n"
            let octets = Array(wire.utf8)
            let first = Int.random(in: 0...octets.count, using: &random)
            let second = Int.random(in: first...octets.count, using: &random)
            let found = decode([octets[..<first], octets[first..<second], octets[second...]])
            #expect(found.step == .end && String(buffer: found.content) == content)
        }
    }
}
