import Mail
import NIOCore
import NIOEmbedded
import SMTP
import Testing

@Suite("Server session")
struct ServerHandlerTests {
    private let goAhead = "354 End data with <CR><LF>.<CR><LF>\r\n"

    @Test
    func `EHLO lists the extensions, HELO none`() throws {
        let session = try Session()
        #expect(
            try session.say("EHLO client.example\r\n") == """
                250-relay.example\r
                250-PIPELINING\r
                250-SIZE 1000\r
                250-ENHANCEDSTATUSCODES\r
                250-8BITMIME\r
                250-CHUNKING\r
                250-DSN\r
                250 SMTPUTF8\r

                """)
        #expect(try session.say("HELO client.example\r\n") == "250 relay.example\r\n")
        let encryptable = try Session(mode: .starttls)
        #expect(try encryptable.say("EHLO c\r\n").contains("250-STARTTLS\r\n"))
    }

    @Test
    func `one message, line by line and octet by octet`() throws {
        for dribbles in [false, true] {
            let session = try Session()
            let say = dribbles ? session.dribble : session.say
            #expect(try say("EHLO c\r\n").hasSuffix("SMTPUTF8\r\n"))
            #expect(try say("MAIL FROM:<a@b> SIZE=20\r\n") == "250 2.1.0 Ok\r\n")
            #expect(try say("RCPT TO:<c@d>\r\n") == "250 2.1.5 Ok\r\n")
            #expect(try say("DATA\r\n") == goAhead)
            #expect(try say("Subject: x\r\n\r\n..dot\r\n.\r\n") == "250 2.0.0 Ok: queued as 0000000000001\r\n")
            #expect(try say("QUIT\r\n") == "221 2.0.0 Bye\r\n")
            #expect(session.receiver.contents == ["Subject: x\r\n\r\n.dot\r\n"])
            #expect(!session.channel.isActive)
        }
    }

    @Test
    func `pipelined commands are answered in one write`() throws {
        let session = try Session()
        let text = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<bad>\r\nDATA\r\n"
        try session.channel.writeInbound(ByteBuffer(string: text))
        let first = try #require(try session.channel.readOutbound(as: ByteBuffer.self))
        #expect(
            String(buffer: first).hasSuffix(
                "SMTPUTF8\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n501 5.1.3 Bad recipient address syntax\r\n\(goAhead)"))
        #expect(try session.heard() == "")
        let second = try session.say("x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\ny\r\n.\r\nQUIT\r\n")
        #expect(
            second
                == "250 2.0.0 Ok: queued as 0000000000001\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n\(goAhead)"
                + "250 2.0.0 Ok: queued as 0000000000002\r\n221 2.0.0 Bye\r\n")
        #expect(session.receiver.contents == ["x\r\n", "y\r\n"])
    }

    @Test
    func `what follows the final dot waits for the commit`() throws {
        let session = try Session()
        session.receiver.answersAtOnce = false
        try session.data()
        #expect(try session.say("x\r\n.\r\nNOOP\r\n") == "")
        #expect(try session.say("MAIL FROM:<>\r\n") == "")
        session.receiver.answer?(.queued(MessageID(value: 7)))
        #expect(try session.heard() == "250 2.0.0 Ok: queued as 0000000000007\r\n250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n")
    }

    @Test
    func `a refused commit is told, and the session goes on`() throws {
        let session = try Session()
        session.receiver.answersAtOnce = false
        try session.data()
        #expect(try session.say("x\r\n.\r\n") == "")
        session.receiver.answer?(.refused(.storeFailed))
        #expect(try session.heard() == "451 4.3.0 Cannot store mail, try again later\r\n")
        #expect(try session.say("NOOP\r\n") == "250 2.0.0 Ok\r\n")
    }

    @Test
    func `a client that vanishes before the answer changes nothing`() throws {
        let session = try Session()
        session.receiver.answersAtOnce = false
        try session.data()
        #expect(try session.say("x\r\n.\r\n") == "")
        try session.channel.close().wait()
        session.receiver.answer?(.queued(MessageID(value: 7)))
        #expect(session.receiver.abandoned == 0)
    }

    @Test
    func `a client that vanishes inside a message leaves nothing`() throws {
        let session = try Session()
        try session.data()
        #expect(try session.say("x\r\n") == "")
        try session.channel.close().wait()
        #expect(session.receiver.abandoned == 1 && session.receiver.contents == [])
    }

    @Test(arguments: [
        ("NOOP\nMAIL FROM:<evil@b>\r\n", "554 5.5.2 Bare line feed received\r\n"),
        ("NOOP\rMAIL FROM:<evil@b>\r\n", "554 5.5.2 Bare carriage return received\r\n"),
    ])
    func `a bare CR or LF in a command ends the session with 554`(_ text: String, reply: String) throws {
        let session = try Session()
        #expect(try session.say("EHLO c\r\n" + text + "NOOP\r\n").hasSuffix("SMTPUTF8\r\n" + reply))
        #expect(try session.say("NOOP\r\n") == "")
    }

    @Test(arguments: ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n\n.\r\n", "\r\r\n.\r\n"])
    func `no other end of content is believed, cut at every octet`(_ end: String) throws {
        let smuggled = "MAIL FROM:<evil@b>\r\nRCPT TO:<x@y>\r\nDATA\r\nevil\r\n.\r\n"
        let text = "good" + end + smuggled
        for cut in 0...text.utf8.count {
            let session = try Session()
            try session.data()
            let first = try session.say(String(text.prefix(cut)))
            let second = try session.say(String(text.dropFirst(cut)))
            #expect((first + second).hasPrefix("554 5.5.2 Bare "))
            #expect((first + second).utf8.filter { $0 == 10 }.count == 1)
            #expect(session.receiver.contents == [] && session.receiver.envelopes.count == 1)
            #expect(session.receiver.abandoned == 1)
        }
    }

    @Test
    func `octets behind STARTTLS in the clear are refused and never obeyed`() throws {
        let session = try Session(mode: .starttls)
        #expect(try session.say("EHLO c\r\n").contains("STARTTLS"))
        #expect(try session.say("STARTTLS\r\nMAIL FROM:<evil@b>\r\n") == "554 5.5.1 Nothing may follow STARTTLS\r\n")
        #expect(try session.say("NOOP\r\n") == "")
    }

    @Test
    func `a line above 2,048 octets is refused whole, and the next one obeyed`() throws {
        let session = try Session()
        let long = "NOOP " + String(repeating: "x", count: 5_000)
        #expect(try session.say("\(long)\r\nNOOP\r\n") == "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n")
        #expect(try session.dribble("\(long)\r\nNOOP\r\n") == "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n")
        #expect(try session.dribble("\(long)\n").hasPrefix("554 5.5.2"))
    }

    @Test
    func `content above the limit is read to its end and refused`() throws {
        let session = try Session(messageSize: 100)
        try session.data()
        let line = String(repeating: "x", count: 60) + "\r\n"
        #expect(try session.say(line + line) == "")
        #expect(session.receiver.abandoned == 1)
        #expect(try session.say(line + ".\r\n") == "552 5.3.4 Message too large\r\n")
        #expect(try session.say("NOOP\r\n") == "250 2.0.0 Ok\r\n")
    }

    @Test
    func `content without end is cut off`() throws {
        let session = try Session(messageSize: 100)
        try session.data()
        let line = String(repeating: "x", count: 60) + "\r\n"
        var said = ""
        var count = 0
        while said.isEmpty, count < 30_000 {
            said = try session.say(line)
            count += 1
        }
        #expect(said == "552 5.3.4 Message too large\r\n" && count * 62 > 1 << 20)
        #expect(try session.say(".\r\nNOOP\r\n") == "")
    }

    @Test
    func `NUL, long lines and what the sink refuses get their 554 after the end`() throws {
        let session = try Session(messageSize: 10_000)
        try session.data()
        #expect(try session.say("a\0b\r\n.\r\n") == "554 5.6.0 Message contains a NUL octet\r\n")
        try session.data()
        let long = String(repeating: "x", count: 999)
        #expect(try session.say("\(long)\r\n.\r\n") == "554 5.6.0 A line of the message is too long\r\n")
        try session.data()
        #expect(try session.say("\(long.dropFirst())\r\n.\r\n").hasPrefix("250 "))
        session.receiver.refusal = .tooManyHops
        try session.data()
        #expect(try session.say("Received: x\r\n.\r\n") == "554 5.4.6 Too many hops, this is a loop\r\n")
        #expect(session.receiver.contents.count == 1)
    }

    @Test
    func `a saturated sink stops the reading until it has drained`() throws {
        let session = try Session()
        try session.data()
        session.receiver.isSaturated = true
        let counter = ReadCounter()
        try session.channel.pipeline.syncOperations.addHandler(counter, position: .first)
        #expect(try session.say("x\r\n") == "")
        session.channel.read()
        #expect(counter.reads == 0)
        session.receiver.isSaturated = false
        session.receiver.drained?()
        #expect(counter.reads == 1)
        #expect(try session.say(".\r\n").hasPrefix("250 "))
    }

    @Test
    func `shutting down tells the idle at once and others after their message`() throws {
        let idle = try Session()
        idle.channel.pipeline.fireUserInboundEventTriggered(ServerEvent.shutDown)
        #expect(try idle.heard() == "421 4.3.2 Shutting down\r\n")

        let busy = try Session()
        try busy.data()
        busy.channel.pipeline.fireUserInboundEventTriggered(ServerEvent.shutDown)
        #expect(try busy.heard() == "")
        #expect(
            try busy.say("x\r\n.\r\nMAIL FROM:<>\r\n")
                == "250 2.0.0 Ok: queued as 0000000000001\r\n421 4.3.2 Shutting down\r\n")
    }
}

/// Counts what reaches the channel of the wish to read.
private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var reads = 0

    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
}
