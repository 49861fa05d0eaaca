import Mail
import NIOCore
import Testing

@testable import SMTP

@Suite struct ClientReplies {
    /// Every reply in these bytes, fed in pieces of this size; nil stands for nonsense.
    private func replies(_ text: String, pieces: Int = .max) -> [Reply?] {
        replies(Array(text.utf8), pieces: pieces)
    }

    private func replies(_ bytes: [UInt8], pieces: Int = .max) -> [Reply?] {
        var parser = ReplyParser()
        var found: [Reply?] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            parser.feed(ByteBuffer(bytes: rest.prefix(pieces)))
            rest = rest.dropFirst(pieces)
            loop: while true {
                switch parser.next() {
                case .incomplete: break loop
                case .reply: found.append(parser.reply())
                case .nonsense: return found + [nil]
                }
            }
        }
        return found
    }

    @Test(arguments: [1, 2, 3, 7, Int.max])
    func `replies come out the same however they were cut`(pieces: Int) {
        let text =
            "220 mx\r\n250-mx\r\n250-SIZE 5\r\n250 HELP\r\n250 2.1.0 ok\n550-5.7.1 no\r\n550 5.7.1 way\r\n354\r\n"
        let expected = [
            Reply(220, nil, "mx"), Reply(250, nil, "mx\nSIZE 5\nHELP"), Reply(250, EnhancedStatus(2, 1, 0), "ok"),
            Reply(550, EnhancedStatus(5, 7, 1), "no\nway"), Reply(354, nil, ""),
        ]
        #expect(replies(text, pieces: pieces) == expected)
    }

    @Test(arguments: [
        "hello\r\n", "25 ok\r\n", "2500 ok\r\n", "250_ok\r\n", "199 ok\r\n", "600 ok\r\n", "\r\n", "250-a\r\n251 b\r\n",
        "250-a\r\nb\r\n", " 250 ok\r\n",
    ])
    func `what is no reply is nonsense`(text: String) {
        #expect(replies(text) == [nil])
    }

    @Test func `a line that does not come to its end is incomplete`() {
        #expect(replies("250 ok") == [])
        #expect(replies("250-ok\r\n") == [])
    }

    @Test func `an endless reply is nonsense, by lines, by octets and within one line`() {
        #expect(replies(String(repeating: "250-x\r\n", count: 101)) == [nil])
        #expect(replies(String(repeating: "250-" + String(repeating: "x", count: 996) + "\r\n", count: 70)) == [nil])
        #expect(replies("250 " + String(repeating: "x", count: 70_000), pieces: 1_000) == [nil])
        #expect(replies(String(repeating: "250-x\r\n", count: 99) + "250 x\r\n").compactMap { $0 }.count == 1)
    }

    @Test func `only the first 4 KiB of the text are kept`() {
        let line = "550-" + String(repeating: "x", count: 990) + "\r\n"
        let reply = replies(String(repeating: line, count: 20) + "550 end\r\n")[0]
        #expect(reply?.text.utf8.count == 4_096)
    }

    @Test func `control characters and broken UTF-8 are made harmless`() {
        #expect(replies("550 a\u{1B}[2Jb\tc\u{7F}\u{202E}d\u{85}\r\n")[0]?.text == "a?[2Jb c??d?")
        #expect(replies(Array("550 ".utf8) + [0xFF, 0xC3] + Array("\r\n".utf8))[0]?.text == "??")
        #expect(replies("550 Größe 邮件\r\n")[0]?.text == "Größe 邮件")
    }

    @Test func `an enhanced status that contradicts the code stays in the text`() {
        #expect(replies("250 5.7.1 odd\r\n") == [Reply(250, nil, "5.7.1 odd")])
    }

    @Test func `features are read in any case, and unknown ones passed over`() {
        let features = HostFeatures(
            ehlo: Reply(250, nil, "mx STARTTLS\nsize 1000 x\nPipelining\n8BITMIME\nX-FOO\n\nSMTPUTF8"))
        var expected = HostFeatures()
        expected.size = 1_000
        expected.pipelining = true
        expected.eightBit = true
        expected.utf8 = true
        #expect(features == expected)
    }
}

@Suite struct ClientDotStuffing {
    private func stuffed(_ text: String, pieces: Int) -> String {
        var stuffing = DotStuffing()
        var output = ByteBuffer()
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            output.writeImmutableBuffer(stuffing.stuff(ByteBuffer(bytes: rest.prefix(pieces))))
            rest = rest.dropFirst(pieces)
        }
        output.writeImmutableBuffer(stuffing.ending)
        return String(buffer: output)
    }

    @Test(arguments: [
        ("", ".\r\n"), ("a\r\n", "a\r\n.\r\n"), ("a", "a\r\n.\r\n"), (".", "..\r\n.\r\n"), ("\r\n", "\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"), ("a\r\n.\r\n.b\r\n..c\r\nd.\r\n", "a\r\n..\r\n..b\r\n...c\r\nd.\r\n.\r\n"),
        ("a\r\n.", "a\r\n..\r\n.\r\n"), ("a.b\r\n", "a.b\r\n.\r\n"), ("\r\n.\r\n", "\r\n..\r\n.\r\n"),
    ])
    func `dots at line starts are doubled, wherever chunks are cut`(content: String, wire: String) {
        for pieces in 1...max(content.utf8.count, 1) {
            #expect(stuffed(content, pieces: pieces) == wire)
        }
    }

    @Test func `content without such a dot is not copied`() {
        let content = ByteBuffer(string: "a.b\r\nc.\r\n")
        var stuffing = DotStuffing()
        let same = stuffing.stuff(content)
        let addresses = [content, same].map { $0.withUnsafeReadableBytes { $0.baseAddress } }
        #expect(addresses[0] == addresses[1])
    }
}
