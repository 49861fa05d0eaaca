import Mail
import Testing

@testable import SMTP

/// A machine and the host it talks to, so that tests read as transcripts.
final class ClientTranscript {
    private var machine: ClientMachine

    init(_ secrecy: ClientMachine.Secrecy = .never, hasLogin: Bool = false) {
        machine = ClientMachine(secrecy: secrecy, hasLogin: hasLogin)
        _ = machine.connected()
    }

    var waiting: ClientMachine.Wait? { machine.waiting }

    /// The host says this; lines are joined with a line feed.
    func says(_ text: String, more: Bool = false) -> ClientAction {
        let reply = Self.reply(text)
        return machine.received(reply.code, more: more) { reply }
    }

    func send(recipients: Int = 1, size: Int = 100, utf8: Bool = false) -> ClientAction {
        machine.send(ClientMachine.Needs(recipients: recipients, size: size, utf8: utf8))
    }

    func contentSent() -> ClientAction { machine.contentSent() }
    func contentFailed() -> ClientAction { machine.contentFailed("gone") }
    func isSilent() -> ClientAction { machine.timedOut() }
    func hangsUp() -> ClientAction { machine.lost("closed") }
    func talksNonsense() -> ClientAction { machine.violated("what?") }
    func agreesOnTLS() -> ClientAction { machine.tlsEstablished("TLSv1.3") }
    func failsTLS() -> ClientAction { machine.tlsFailed("no") }
    func close() -> ClientAction { machine.close() }

    /// A session that is open and idle.
    static func open(features: String = "PIPELINING\n8BITMIME") -> ClientTranscript {
        let host = ClientTranscript()
        _ = host.says("220 mx")
        _ = host.says("250 mx\n" + features)
        return host
    }

    static func reply(_ text: String) -> Reply {
        Reply(UInt16(text.prefix(3)) ?? 0, nil, String(text.dropFirst(4)))
    }

    static func answer(_ phase: Phase, _ text: String) -> PhaseAnswer {
        PhaseAnswer(phase: phase, answer: .reply(reply(text)))
    }

    static func answer(_ phase: Phase, _ trouble: Answer.Trouble, _ text: String) -> PhaseAnswer {
        PhaseAnswer(phase: phase, answer: .trouble(trouble, text))
    }
}

private typealias Host = ClientTranscript

@Suite struct ClientMachineOpening {
    @Test func `banner, EHLO, and the session is open`() {
        let host = Host()
        #expect(host.waiting == .banner)
        #expect(host.says("220 mx ready") == .ehlo)
        #expect(host.waiting == .ehlo)
        #expect(host.says("250 mx\nPIPELINING") == .opened)
        #expect(host.waiting == nil)
    }

    @Test func `a refusal in the banner is reported and answered with QUIT`() {
        let host = Host()
        #expect(host.says("554 5.7.1 blocked") == .failed(Host.answer(.banner, "554 5.7.1 blocked"), quit: true))
        #expect(host.says("221 bye") == .drop)
    }

    @Test func `421 in the banner closes at once`() {
        #expect(Host().says("421 busy") == .failed(Host.answer(.banner, "421 busy"), quit: false))
    }

    @Test func `silence, a hangup and nonsense at the banner are troubles`() {
        #expect(Host().isSilent() == .failed(Host.answer(.banner, .timeout, "no answer in time"), quit: false))
        #expect(Host().hangsUp() == .failed(Host.answer(.banner, .connection, "closed"), quit: false))
        #expect(Host().talksNonsense() == .failed(Host.answer(.banner, .nonsense, "what?"), quit: false))
    }

    @Test(arguments: ["500", "502", "504"])
    func `a host without EHLO gets HELO`(code: String) {
        let host = Host(.ifOffered)
        #expect(host.says("220 old") == .ehlo)
        #expect(host.says("\(code) what?") == .helo)
        #expect(host.says("250 hello") == .opened)
        #expect(host.send() == .mail)
    }

    @Test func `a refused EHLO, or HELO, is a failure`() {
        let host = Host()
        #expect(host.says("220 mx") == .ehlo)
        #expect(host.says("550 who are you?") == .failed(Host.answer(.ehlo, "550 who are you?"), quit: true))
        let old = Host()
        #expect(old.says("220 mx") == .ehlo)
        #expect(old.says("502 no") == .helo)
        #expect(old.says("550 no") == .failed(Host.answer(.ehlo, "550 no"), quit: true))
    }

    @Test func `STARTTLS where offered, and EHLO again`() {
        let host = Host(.ifOffered)
        #expect(host.says("220 mx") == .ehlo)
        #expect(host.says("250 mx\nSTARTTLS\nPIPELINING") == .startTLS)
        #expect(host.says("220 go") == .handshake)
        #expect(host.waiting == .ehlo)
        #expect(host.agreesOnTLS() == .ehlo)
        #expect(host.says("250 mx\nSTARTTLS") == .opened)
        #expect(host.send() == .mail)
    }

    @Test func `what a host offered in the clear is forgotten`() {
        let host = Host(.ifOffered)
        _ = host.says("220 mx")
        _ = host.says("250 mx\nSTARTTLS\nSMTPUTF8")
        _ = host.says("220 go")
        _ = host.agreesOnTLS()
        #expect(host.says("250 mx") == .opened)
        let trouble = Host.answer(.mail, .missingExtension, "the host does not offer SMTPUTF8")
        #expect(host.send(utf8: true) == .finished([trouble], then: .stay))
    }

    @Test func `a refused STARTTLS is passed over where TLS is a wish`() {
        let host = Host(.ifOffered)
        _ = host.says("220 mx")
        _ = host.says("250 mx\nSTARTTLS")
        #expect(host.says("454 not now") == .opened)
    }

    @Test func `a refused STARTTLS fails where TLS is a must`() {
        let host = Host(.always)
        _ = host.says("220 mx")
        _ = host.says("250 mx\nSTARTTLS")
        #expect(host.says("454 not now") == .failed(Host.answer(.starttls, "454 not now"), quit: true))
    }

    @Test func `no STARTTLS fails where TLS is a must`() {
        let host = Host(.always)
        _ = host.says("220 mx")
        let trouble = Host.answer(.starttls, .tls, "STARTTLS is not offered")
        #expect(host.says("250 mx\nPIPELINING") == .failed(trouble, quit: true))
    }

    @Test func `STARTTLS is not asked for where TLS is not wanted`() {
        let host = Host(.never)
        _ = host.says("220 mx")
        #expect(host.says("250 mx\nSTARTTLS") == .opened)
    }

    @Test func `text in the clear after the answer to STARTTLS is a violation`() {
        let host = Host(.ifOffered)
        _ = host.says("220 mx")
        _ = host.says("250 mx\nSTARTTLS")
        let trouble = Host.answer(.starttls, .nonsense, "text in the clear after the answer to STARTTLS")
        #expect(host.says("220 go", more: true) == .failed(trouble, quit: false))
    }

    @Test func `a handshake that fails, breaks off or takes too long is a trouble at STARTTLS`() {
        func handshaking() -> Host {
            let host = Host(.ifOffered)
            _ = host.says("220 mx")
            _ = host.says("250 mx\nSTARTTLS")
            _ = host.says("220 go")
            return host
        }
        #expect(handshaking().failsTLS() == .failed(Host.answer(.starttls, .tls, "no"), quit: false))
        #expect(handshaking().hangsUp() == .failed(Host.answer(.starttls, .tls, "closed"), quit: false))
        let late = Host.answer(.starttls, .tls, "no answer in time")
        #expect(handshaking().isSilent() == .failed(late, quit: false))
    }

    @Test func `an idle session ends when the host speaks, hangs up, or is not needed`() {
        #expect(Host.open().says("421 too long idle") == .closed)
        #expect(Host.open().hangsUp() == .closed)
        let host = Host.open()
        #expect(host.close() == .quit)
        #expect(host.waiting == .parting)
        #expect(host.says("221 bye") == .closed)
        let mute = Host.open()
        #expect(mute.close() == .quit)
        #expect(mute.isSilent() == .closed)
    }
}
