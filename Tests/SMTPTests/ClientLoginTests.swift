import Mail
import Testing

@testable import SMTP

@Suite struct `Logging in` {
    static func encrypted(_ offer: String) -> (ClientTranscript, ClientAction) {
        let host = ClientTranscript(.always, hasLogin: true)
        #expect(host.says("220 relay") == .ehlo)
        // What is offered in the clear is not believed.
        #expect(host.says("250 relay\nSTARTTLS\nAUTH PLAIN LOGIN") == .startTLS)
        #expect(host.says("220 go on") == .handshake)
        #expect(host.agreesOnTLS() == .ehlo)
        return (host, host.says("250 relay\n" + offer))
    }

    static func said(_ code: UInt16, _ status: EnhancedStatus?, _ text: String) -> PhaseAnswer {
        PhaseAnswer(phase: .auth, answer: .reply(Reply(code, status, text)))
    }

    @Test func `is done with PLAIN where that is offered, over TLS`() {
        let (host, action) = Self.encrypted("AUTH LOGIN plain")
        #expect(action == .authenticate(.plain))
        #expect(host.waiting == .ehlo)
        #expect(host.says("235 2.7.0 welcome") == .opened)
    }

    @Test func `over TLS from the start has the banner and EHLO inside it`() {
        let host = ClientTranscript(.fromTheStart, hasLogin: true)
        #expect(host.waiting == .ehlo)
        #expect(host.agreesOnTLS() == .wait)
        #expect(host.waiting == .banner)
        #expect(host.says("220 relay") == .ehlo)
        #expect(host.says("250 relay\nAUTH PLAIN") == .authenticate(.plain))
        #expect(host.says("235 2.7.0 welcome") == .opened)
    }

    @Test func `hears nothing in the clear where TLS comes first`() {
        let host = ClientTranscript(.fromTheStart, hasLogin: true)
        guard case .failed(let answer, quit: false) = host.says("220 relay") else {
            Issue.record("it went on")
            return
        }
        #expect(answer.phase == .starttls)
        let silent = ClientTranscript(.fromTheStart)
        #expect(silent.failsTLS() == .failed(ClientTranscript.answer(.starttls, .tls, "no"), quit: false))
    }

    @Test func `is done with LOGIN else`() {
        let (host, action) = Self.encrypted("AUTH LOGIN CRAM-MD5")
        #expect(action == .authenticate(.login))
        #expect(host.says("334 VXNlcm5hbWU6") == .authenticate(.loginName))
        #expect(host.says("334 UGFzc3dvcmQ6") == .authenticate(.loginPassword))
        #expect(host.says("235 2.7.0 welcome") == .opened)
    }

    @Test func `never happens in the clear`() {
        let host = ClientTranscript(.always, hasLogin: true)
        #expect(host.says("220 relay") == .ehlo)
        guard case .failed(let answer, quit: true) = host.says("250 relay\nAUTH PLAIN") else {
            Issue.record("it went on without STARTTLS")
            return
        }
        #expect(answer.phase == .starttls)
    }

    @Test(arguments: [ClientMachine.Secrecy.never, .ifOffered])
    func `never happens where no certificate is verified`(_ secrecy: ClientMachine.Secrecy) {
        let host = ClientTranscript(secrecy, hasLogin: true)
        #expect(host.says("220 relay") == .ehlo)
        var action = host.says("250 relay\nSTARTTLS\nAUTH PLAIN")
        if secrecy == .ifOffered {
            #expect(action == .startTLS)
            #expect(host.says("220 go on") == .handshake)
            #expect(host.agreesOnTLS() == .ehlo)
            action = host.says("250 relay\nAUTH PLAIN")
        }
        let why = "a password is for verified TLS only"
        #expect(action == .failed(PhaseAnswer(phase: .auth, answer: .trouble(.tls, why)), quit: true))
    }

    @Test(arguments: [
        (UInt16(535), "5.7.8 no"), (UInt16(454), "4.7.0 later"), (UInt16(534), "5.7.9 too weak"),
        (UInt16(504), "5.5.4 what?"),
    ])
    func `that is refused ends the session with the host's words`(_ code: UInt16, _ text: String) {
        let (host, _) = Self.encrypted("AUTH PLAIN")
        guard case .failed(let answer, quit: true) = host.says("\(code) \(text)") else {
            Issue.record("it went on")
            return
        }
        #expect(answer.phase == .auth)
    }

    @Test func `that ends with 421 says nothing more`() {
        let (host, _) = Self.encrypted("AUTH PLAIN")
        guard case .failed(_, quit: false) = host.says("421 4.3.2 going down") else {
            Issue.record("it went on")
            return
        }
    }

    @Test func `without a mechanism that we know fails`() {
        let (_, action) = Self.encrypted("AUTH CRAM-MD5 XOAUTH2")
        let why = "neither AUTH PLAIN nor AUTH LOGIN is offered"
        #expect(action == .failed(PhaseAnswer(phase: .auth, answer: .trouble(.missingExtension, why)), quit: true))
    }

    @Test(arguments: ["334 more", "354 send it", "220 what"])
    func `is not confused by other answers`(_ answer: String) {
        let (host, _) = Self.encrypted("AUTH PLAIN")
        let action = host.says(answer)
        if answer.hasPrefix("220") {
            #expect(action == .opened)
        } else {
            guard case .failed(let failure, quit: false) = action else {
                Issue.record("it went on")
                return
            }
            #expect(failure.phase == .auth)
        }
    }

    @Test func `prints no password`() {
        let login = Login(username: "figaro", password: "s3cret!")
        var dumped = ""
        dump(login, to: &dumped)
        #expect(!"\(login) \(String(reflecting: login)) \(dumped)".contains("s3cret"))
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("\0a\0b", "AGEAYg=="), ("\u{FC}\u{FF}", "w7zDvw=="),
    ])
    func `writes octets as RFC 4648 section 10 has it`(_ plain: String, _ encoded: String) {
        #expect(Base64.text(plain.utf8) == encoded)
    }
}
