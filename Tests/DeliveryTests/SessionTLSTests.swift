import Delivery
import Mail
import NIOCore
import Queue
import RelayTesting
import SMTP
import Testing

@Suite struct SessionTLS {
    private static let script: [ScriptedPeer.Step] = [
        .say("220 peer"), .expect("EHLO out-1.example"), .say("250-peer\r\n250 STARTTLS"), .expect("STARTTLS"),
        .say("220 go"), .startTLS, .expect("EHLO out-1.example"), .say("250-peer\r\n250 PIPELINING"),
        .serve(ScriptedPeer.Manners()),
    ]

    private func opened(
        _ certificate: SelfSignedCertificate, _ tls: TLSNeed,
        _ configuration: SessionConfiguration = SessionConfiguration(),
        host: String = "mx.example"
    ) async throws -> RecordingOwner.Report {
        let peer = try await ScriptedPeer.start(Self.script, tls: try certificate.serverContext())
        let bench = try SessionBench(configuration: configuration)
        bench.opener.open(try SessionBench.plan(peer.port, host: host, tls: tls), for: bench.owner)
        let report = try await bench.owner.next()
        if case .opened(let session, _) = report {
            let file = try TemporaryFile(megabytes: 1)
            defer { file.remove() }
            session.send(SessionBench.transaction(".x\r\n"))
            #expect(try await bench.owner.result().answers.map(\.phase) == [.dot])
            session.send(SessionBench.transaction(.file(name: file.name), size: file.size))
            #expect(try await bench.owner.result().answers.map(\.phase) == [.dot])
            #expect(peer.contents[0] == Array("..x\r\n.\r\n".utf8))
            #expect(peer.contents[1] == file.wire)
            session.close()
        }
        #expect(peer.visits[0].unexpected == [])
        await peer.stop()
        return report
    }

    @Test func `opportunistic TLS takes any certificate`() async throws {
        let certificate = try SelfSignedCertificate(for: "other.example")
        defer { certificate.remove() }
        guard case .opened(_, let facts) = try await opened(certificate, .opportunistic) else {
            Issue.record("not opened")
            return
        }
        #expect(facts.tls == "TLSv1.3")
    }

    @Test func `opportunistic TLS works with a host that is an address`() async throws {
        let certificate = try SelfSignedCertificate(for: "other.example")
        defer { certificate.remove() }
        guard case .opened = try await opened(certificate, .opportunistic, host: "127.0.0.1") else {
            Issue.record("not opened")
            return
        }
    }

    @Test func `required TLS refuses a certificate that nobody vouches for`() async throws {
        let certificate = try SelfSignedCertificate(for: "mx.example")
        defer { certificate.remove() }
        guard case .failed(_, let answer) = try await opened(certificate, .required) else {
            Issue.record("opened")
            return
        }
        let trouble = Answer.trouble(.tls, "TLS handshake failed: CERTIFICATE_VERIFY_FAILED")
        #expect(answer == PhaseAnswer(phase: .starttls, answer: trouble))
    }

    @Test func `required TLS takes a verified certificate of that name and no other`() async throws {
        let certificate = try SelfSignedCertificate(for: "mx.example")
        defer { certificate.remove() }
        var configuration = SessionConfiguration()
        configuration.roots = certificate.roots
        guard case .opened = try await opened(certificate, .required, configuration) else {
            Issue.record("not opened")
            return
        }
        guard case .failed(_, let answer) = try await opened(certificate, .required, configuration, host: "my.example"),
            case .trouble(.tls, _) = answer.answer
        else {
            Issue.record("opened")
            return
        }
    }

    @Test func `TLS from the start is verified before a word is said`() async throws {
        let certificate = try SelfSignedCertificate(for: "mx.example")
        defer { certificate.remove() }
        var configuration = SessionConfiguration()
        configuration.roots = certificate.roots
        for host in ["mx.example", "my.example"] {
            let peer = try await ScriptedPeer.start(
                [.startTLS, .say("220 peer"), .expect("EHLO out-1.example"), .say("250 peer"), .expect("QUIT")],
                tls: try certificate.serverContext())
            let bench = try SessionBench(configuration: configuration)
            bench.opener.open(try SessionBench.plan(peer.port, host: host, tls: .implicit), for: bench.owner)
            switch try await bench.owner.next() {
            case .opened(let session, let facts):
                #expect(host == "mx.example" && facts.tls == "TLSv1.3")
                session.close()
            case .failed(_, let answer): #expect(host == "my.example" && answer.phase == .starttls)
            default: Issue.record("neither opened nor failed")
            }
            await peer.stop()
        }
    }

    @Test func `a handshake that never ends is ended`() async throws {
        let peer = try await ScriptedPeer.start(
            [.say("220 peer"), .expect("EHLO*"), .say("250-peer\r\n250 STARTTLS"), .expect("STARTTLS"), .say("220 go")])
        var configuration = SessionConfiguration()
        configuration.deadlines.ehlo = .milliseconds(150)
        let bench = try SessionBench(configuration: configuration)
        bench.opener.open(try SessionBench.plan(peer.port, tls: .opportunistic), for: bench.owner)
        let late = PhaseAnswer(phase: .starttls, answer: .trouble(.tls, "no answer in time"))
        #expect(try await bench.owner.failure() == late)
        await peer.stop()
    }
}
