import Delivery
import Glibc
import Mail
import NIOCore
import Queue
import RelayTesting
import Testing

private let greeting: [ScriptedPeer.Step] = [.say("220 peer"), .expect("EHLO out-1.example")]
private let pipelining: [ScriptedPeer.Step] =
    greeting + [.say("250-peer\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n250 SMTPUTF8")]
private let plain: [ScriptedPeer.Step] = greeting + [.say("250 peer")]

@Suite struct SessionSending {
    @Test func `a session opens, sends two messages and says goodbye`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        let plan = try SessionBench.plan(peer.port)
        let session = try await bench.open(plan)
        for text in ["A: 1\r\n\r\none\r\n", "A: 2\r\n\r\ntwo"] {
            session.send(SessionBench.transaction(text))
            let result = try await bench.owner.result()
            let kept = Reply(250, EnhancedStatus(2, 0, 0), "kept")
            #expect(result.answers == [PhaseAnswer(phase: .dot, answer: .reply(kept))])
            #expect(result.reusable)
        }
        session.close()
        guard case .closed(plan.id) = try await bench.owner.next() else {
            Issue.record("not closed")
            return
        }
        let visit = peer.visits[0]
        #expect(
            visit.lines == [
                "EHLO out-1.example", "MAIL FROM:<ann@a.example> SIZE=13", "RCPT TO:<bob@b.example>", "DATA",
                "MAIL FROM:<ann@a.example> SIZE=11", "RCPT TO:<bob@b.example>", "DATA", "QUIT",
            ])
        #expect(visit.contents == [Array("A: 1\r\n\r\none\r\n.\r\n".utf8), Array("A: 2\r\n\r\ntwo\r\n.\r\n".utf8)])
        await peer.stop()
    }

    @Test func `with PIPELINING the whole envelope comes before any answer`() async throws {
        let peer = try await ScriptedPeer.start(
            pipelining + [
                .expect("MAIL FROM:<ann@a.example> SIZE=4 BODY=8BITMIME"), .expect("RCPT TO:<bob@b.example>"),
                .expect("RCPT TO:<eve@b.example>"), .expect("DATA"), .send("250 ok\r\n550 5.1.1 who?\r\n"),
                .pause(.milliseconds(5)), .send("250 ok\r\n354 "), .pause(.milliseconds(5)), .send("go\r\n"), .content,
                .say("250 kept"),
            ])
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        // The first recipient's 550 follows the 250 to MAIL.
        session.send(
            SessionBench.transaction(
                .inline(ByteBuffer(bytes: [0xE4, 0xF6, 13, 10])), to: ["bob@b.example", "eve@b.example"], eightBit: true
            ))
        let result = try await bench.owner.result()
        let refusal = Reply(550, EnhancedStatus(5, 1, 1), "who?")
        #expect(
            result.answers == [
                PhaseAnswer(phase: .rcpt, answer: .reply(refusal)),
                PhaseAnswer(phase: .dot, answer: .reply(Reply(250, nil, "kept"))),
            ])
        #expect(peer.visits[0].unexpected == [])
        session.close()
        await peer.stop()
    }

    @Test func `without extensions it goes step by step, 8-bit content as it is`() async throws {
        let peer = try await ScriptedPeer.start(
            plain + [
                .expect("MAIL FROM:<>"), .say("250 ok"), .expect("RCPT TO:<bob@b.example>"), .say("250 ok"),
                .expect("DATA"), .say("354 go"), .content, .say("250 kept"),
            ])
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(
            SessionBench.transaction(.inline(ByteBuffer(bytes: [0xE4, 13, 10])), from: "", eightBit: true))
        #expect(try await bench.owner.result().reusable)
        #expect(peer.contents == [[0xE4, 13, 10, 46, 13, 10]])
        session.close()
        await peer.stop()
    }

    @Test func `SMTPUTF8 is asked for where an address needs it`() async throws {
        let peer = try await ScriptedPeer.start(
            pipelining + [.expect("MAIL FROM:<ann@a.example> SIZE=3 SMTPUTF8"), .expect("RCPT TO:<jürgen@b.example>")])
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction("x\r\n", to: ["jürgen@b.example"]))
        #expect(try await eventually { peer.visits[0].lines.count == 3 })
        #expect(peer.visits[0].unexpected == [])
        await peer.stop()
    }

    @Test func `an address with a line break is never sent`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction("x\r\n", to: ["bob@b.example>\r\nRSET\r\n"]))
        let result = try await bench.owner.result()
        #expect(result.reusable)
        guard case .trouble(.local, _) = result.answers[0].answer else {
            Issue.record("sent")
            return
        }
        #expect(peer.visits[0].lines.count == 1)
        session.close()
        await peer.stop()
    }

    @Test func `after a refusal RSET, and the session takes the next message`() async throws {
        var manners = ScriptedPeer.Manners()
        manners.answers = [("RCPT TO:<bad@b.example>", "550 5.1.1 who?")]
        let peer = try await ScriptedPeer.accepting(manners)
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction("x\r\n", to: ["bad@b.example"]))
        let refused = try await bench.owner.result()
        #expect(refused.answers.map(\.phase) == [.rcpt])
        #expect(refused.reusable)
        session.send(SessionBench.transaction("y\r\n"))
        #expect(try await bench.owner.result().answers.map(\.phase) == [.dot])
        let dots = [Array(".\r\n".utf8), Array("y\r\n.\r\n".utf8)]
        #expect(peer.contents == dots)
        #expect(peer.visits[0].lines.contains("RSET"))
        session.close()
        await peer.stop()
    }

    @Test func `ten megabytes from a file arrive octet by octet`() async throws {
        let file = try TemporaryFile(megabytes: 10)
        defer { file.remove() }
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction(.file(name: file.name), size: file.size))
        #expect(try await bench.owner.result().answers.map(\.phase) == [.dot])
        #expect(peer.contents == [file.wire])
        session.close()
        await peer.stop()
    }

    @Test(arguments: [-1, 1])
    func `a file that is not as long as it should be is never completed`(difference: Int) async throws {
        let file = try TemporaryFile(megabytes: 1)
        defer { file.remove() }
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction(.file(name: file.name), size: file.size + difference))
        let result = try await bench.owner.result()
        #expect(!result.reusable)
        guard result.answers[0].phase == .data, case .trouble(.local, _) = result.answers[0].answer else {
            Issue.record("\(result)")
            return
        }
        #expect(try await eventually { peer.visits[0].hasLeft })
        #expect(peer.contents == [])
        await peer.stop()
    }

    @Test func `a file that is not there is our own trouble`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction(.file(name: "/nonexistent/content"), size: 100_000))
        let result = try await bench.owner.result()
        #expect(!result.reusable)
        guard case .trouble(.local, _) = result.answers[0].answer else {
            Issue.record("\(result)")
            return
        }
        await peer.stop()
    }

    @Test func `a refusal in the middle of the content is heard`() async throws {
        let file = try TemporaryFile(megabytes: 30)
        defer { file.remove() }
        let peer = try await ScriptedPeer.start(
            pipelining + [
                .expect("MAIL*"), .expect("RCPT*"), .expect("DATA"), .stopReading, .say("250 ok\r\n250 ok\r\n354 go"),
                .pause(.milliseconds(50)), .say("552 5.3.4 enough"),
            ])
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction(.file(name: file.name), size: file.size))
        let result = try await bench.owner.result()
        let reply = Reply(552, EnhancedStatus(5, 3, 4), "enough")
        #expect(result.answers == [PhaseAnswer(phase: .data, answer: .reply(reply))])
        #expect(!result.reusable)
        await peer.stop()
    }
}

/// Content in a file, with dots at line starts and long and short lines.
struct TemporaryFile {
    let name: String
    let size: Int
    /// As it must come over the wire.
    let wire: [UInt8]

    init(megabytes: Int) throws {
        let lines = [
            ".", "..", "", ".a", "b.", String(repeating: "x", count: 997), "Grüße", String(repeating: ".", count: 60),
        ]
        let block = Self.bytes(lines)
        let stuffed = Self.bytes(lines.map { $0.hasPrefix(".") ? "." + $0 : $0 })
        let count = (megabytes << 20) / block.count + 1
        var wire: [UInt8] = []
        wire.reserveCapacity(count * stuffed.count + 3)
        var path = Array("/tmp/session-content-XXXXXX".utf8CString)
        let file = mkstemp(&path)
        try #require(file >= 0)
        defer { close(file) }
        for _ in 0..<count {
            try #require(Glibc.write(file, block, block.count) == block.count)
            wire.append(contentsOf: stuffed)
        }
        name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        size = count * block.count
        self.wire = wire + [46, 13, 10]
    }

    func remove() { unlink(name) }

    private static func bytes(_ lines: [String]) -> [UInt8] {
        Array(lines.joined(separator: "\r\n").utf8) + [13, 10]
    }
}
