import Delivery
import Mail
import NIOCore
import NIOPosix
import Queue
import RelayTesting
import SMTP
import Testing

@Suite struct SessionOpening {
    @Test func `the peer sees the source of the plan`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        for host in [7, 77, 254] {
            let session = try await bench.open(try SessionBench.plan(peer.port, from: "127.77.0.\(host)"))
            session.close()
            _ = try await bench.owner.next()
        }
        #expect(peer.visits.map(\.address) == ["127.77.0.7", "127.77.0.77", "127.77.0.254"])
        await peer.stop()
    }

    @Test func `IPv6 works the same`() async throws {
        let peer = try await ScriptedPeer.accepting(address: "::1")
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port, from: "::1", to: "::1"))
        session.send(SessionBench.transaction("x\r\n"))
        #expect(try await bench.owner.result().answers.map(\.phase) == [.dot])
        #expect(peer.visits.map(\.address) == ["::1"])
        session.close()
        await peer.stop()
    }

    @Test func `a source of any address leaves the choice to the system`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port, from: "0.0.0.0"))
        #expect(peer.visits.map(\.address) == ["127.0.0.1"])
        session.close()
        await peer.stop()
    }

    @Test func `a source that cannot be bound is our own trouble, and nothing connects`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        bench.opener.open(try SessionBench.plan(peer.port, from: "192.0.2.1"), for: bench.owner)
        let answer = try await bench.owner.failure()
        #expect(
            answer
                == PhaseAnswer(
                    phase: .connect, answer: .trouble(.local, "cannot send from 192.0.2.1: address not available")))
        #expect(peer.visits.isEmpty)
        await peer.stop()
    }

    @Test func `a source of the other family is our own trouble`() async throws {
        let bench = try SessionBench()
        bench.opener.open(try SessionBench.plan(9, from: "::1"), for: bench.owner)
        guard case .trouble(.local, _) = try await bench.owner.failure().answer else {
            Issue.record("not local")
            return
        }
    }

    @Test func `a refused connection is the host's trouble`() async throws {
        let peer = try await ScriptedPeer.accepting()
        await peer.stop()
        let bench = try SessionBench()
        bench.opener.open(try SessionBench.plan(peer.port), for: bench.owner)
        let refused = PhaseAnswer(phase: .connect, answer: .trouble(.connection, "connection refused"))
        #expect(try await bench.owner.failure() == refused)
    }

    @Test func `a forbidden address is not connected to`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench(reach: Reach(allowed: [], listeners: [], own: []))
        bench.opener.open(try SessionBench.plan(peer.port), for: bench.owner)
        let forbidden = PhaseAnswer(phase: .connect, answer: .trouble(.forbidden, "127.0.0.1 is loopback"))
        #expect(try await bench.owner.failure() == forbidden)
        #expect(peer.visits.isEmpty)
        await peer.stop()
    }

    @Test func `a refusing banner is reported with its words, and QUIT is said`() async throws {
        let peer = try await ScriptedPeer.start([.say("554-5.7.1 blocked\r\n554 5.7.1 see page"), .expect("QUIT")])
        let bench = try SessionBench()
        bench.opener.open(try SessionBench.plan(peer.port), for: bench.owner)
        let reply = Reply(554, EnhancedStatus(5, 7, 1), "blocked\nsee page")
        #expect(try await bench.owner.failure() == PhaseAnswer(phase: .banner, answer: .reply(reply)))
        #expect(try await eventually { peer.visits[0].lines == ["QUIT"] })
        await peer.stop()
    }

    @Test func `sessions that the peer closes while idle are reported once`() async throws {
        let peer = try await ScriptedPeer.start(
            [
                .say("220 peer"), .expect("EHLO*"), .say("250 peer"), .pause(.milliseconds(20)),
                .say("421 4.4.2 idle for too long"), .close,
            ])
        let bench = try SessionBench()
        let session = try await bench.open(try SessionBench.plan(peer.port))
        guard case .closed(session.id) = try await bench.owner.next() else {
            Issue.record("not closed")
            return
        }
        // Whoever sends on it all the same gets an end.
        session.send(SessionBench.transaction("x\r\n"))
        let result = try await bench.owner.result()
        #expect(!result.reusable)
        #expect(
            result.answers == [PhaseAnswer(phase: .mail, answer: .trouble(.connection, "the session had gone"))])
        #expect(bench.owner.count == 3)
        await peer.stop()
    }

    @Test func `sixty sessions at once, over all loops`() async throws {
        let peer = try await ScriptedPeer.accepting()
        let bench = try SessionBench()
        for number in 1...60 {
            bench.opener.open(try SessionBench.plan(peer.port, from: "127.77.0.\(number)"), for: bench.owner)
        }
        var sessions: [any Session] = []
        for _ in 1...60 {
            sessions.append(try await bench.owner.session())
        }
        for session in sessions {
            session.send(SessionBench.transaction("x\r\n"))
        }
        for _ in 1...60 {
            #expect(try await bench.owner.result().reusable)
        }
        #expect(Set(peer.visits.map(\.address)).count == 60)
        #expect(peer.contents.count == 60)
        for session in sessions { session.close() }
        await peer.stop()
    }
}

@Suite struct SessionDeadlines {
    private typealias Deadline = WritableKeyPath<ClientDeadlines, TimeAmount>

    private func impatient(about deadline: Deadline) throws -> SessionBench {
        var configuration = SessionConfiguration()
        configuration.deadlines[keyPath: deadline] = .milliseconds(100)
        return try SessionBench(configuration: configuration)
    }

    @Test func `a silent banner and a dripping one come to an end`() async throws {
        let dripping = (0..<50).flatMap { _ in
            [ScriptedPeer.Step.send("220-"), .pause(.milliseconds(20)), .send("\r\n")]
        }
        for script in [[.pause(.seconds(2))], dripping] {
            let peer = try await ScriptedPeer.start(script)
            let bench = try impatient(about: \.banner)
            bench.opener.open(try SessionBench.plan(peer.port), for: bench.owner)
            let late = PhaseAnswer(phase: .banner, answer: .trouble(.timeout, "no answer in time"))
            #expect(try await bench.owner.failure() == late)
            await peer.stop()
        }
    }

    @Test(arguments: [Phase.mail, .rcpt, .data, .dot])
    func `silence in a transaction ends it with its phase`(phase: Phase) async throws {
        var script: [ScriptedPeer.Step] = [.say("220 peer"), .expect("EHLO*"), .say("250 peer")]
        let dialogue: [(Phase, [ScriptedPeer.Step])] = [
            (.mail, [.expect("MAIL*"), .say("250 ok")]), (.rcpt, [.expect("RCPT*"), .say("250 ok")]),
            (.data, [.expect("DATA"), .say("354 go")]),
        ]
        for (said, steps) in dialogue where said.rawValue < phase.rawValue {
            script += steps
        }
        let peer = try await ScriptedPeer.start(script)
        let deadlines: [Phase: Deadline] = [.mail: \.mail, .rcpt: \.rcpt, .data: \.data, .dot: \.dot]
        let bench = try impatient(about: try #require(deadlines[phase]))
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction("x\r\n"))
        let result = try await bench.owner.result()
        #expect(result.answers == [PhaseAnswer(phase: phase, answer: .trouble(.timeout, "no answer in time"))])
        #expect(!result.reusable)
        #expect(try await eventually { peer.visits[0].hasLeft })
        await peer.stop()
    }

    @Test func `content that the host does not take ends without doubt`() async throws {
        let file = try TemporaryFile(megabytes: 30)
        defer { file.remove() }
        let peer = try await ScriptedPeer.start(
            [
                .say("220 peer"), .expect("EHLO*"), .say("250-peer\r\n250 PIPELINING"), .expect("MAIL*"),
                .expect("RCPT*"), .expect("DATA"), .stopReading, .say("250 ok\r\n250 ok\r\n354 go"),
            ])
        let bench = try impatient(about: \.block)
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.send(SessionBench.transaction(.file(name: file.name), size: file.size))
        let late = PhaseAnswer(phase: .data, answer: .trouble(.timeout, "content not taken in time"))
        #expect(try await bench.owner.result().answers == [late])
        await peer.stop()
    }

    @Test func `a connection that does not come about times out`() async throws {
        // A listener whose backlog is full answers no further SYN.
        let listener = try DeafListener()
        defer { listener.close() }
        var configuration = SessionConfiguration()
        configuration.connect = .milliseconds(200)
        let bench = try SessionBench(configuration: configuration)
        bench.opener.open(try SessionBench.plan(listener.port), for: bench.owner)
        let late = PhaseAnswer(phase: .connect, answer: .trouble(.timeout, "connection timed out"))
        #expect(try await bench.owner.failure() == late)
    }

    @Test func `QUIT without an answer does not keep the session`() async throws {
        let peer = try await ScriptedPeer.start([.say("220 peer"), .expect("EHLO*"), .say("250 peer"), .expect("QUIT")])
        let bench = try impatient(about: \.parting)
        let session = try await bench.open(try SessionBench.plan(peer.port))
        session.close()
        guard case .closed = try await bench.owner.next() else {
            Issue.record("not closed")
            return
        }
        await peer.stop()
    }
}
