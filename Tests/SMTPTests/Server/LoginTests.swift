import Mail
import NIOCore
import NIOEmbedded
import Testing

@testable import SMTP

/// AUTH as the machine sees it (RFC 4954).
struct LoginTests {
    private let policy = ServerMachine.Policy(
        mayRelay: false, postmaster: nil, recipients: 10, errors: 5, messageSize: 1_000, offersLogin: true)

    private func opened(encrypted: Bool = true, offered: Bool = true, extended: Bool = true) -> ServerMachine {
        var policy = policy
        policy.offersLogin = offered
        var machine = ServerMachine(policy: policy, offersTLS: true)
        #expect(machine.opened(encrypted: encrypted) == .greet)
        _ = machine.received(.hello(name: "c", extended: extended), admission: nil)
        return machine
    }

    private func auth(_ machine: inout ServerMachine, _ line: String) -> ServerMachine.Action {
        let command = Array("AUTH \(line)".utf8).withUnsafeBytes { bytes -> Result<Command, CommandFault> in
            do throws(CommandFault) {
                return .success(try CommandParser.parse(bytes))
            } catch {
                return .failure(error)
            }
        }
        switch command {
        case .success(let command): return machine.received(command, admission: nil)
        case .failure(let fault): return machine.received(fault)
        }
    }

    private func respond(_ machine: inout ServerMachine, _ line: String) -> ServerMachine.Action {
        Array(line.utf8).withUnsafeBytes { machine.received(response: Span(_unsafeBytes: $0)) }
    }

    private func plain(_ text: String) -> String { Base64.text(Array(text.utf8)) }

    private var granted: ServerMachine.LoginVerdict {
        var policy = policy
        policy.mayRelay = true
        return .accepted(policy)
    }

    @Test
    func `PLAIN with its response at once, and after a challenge`() {
        let login = Login(username: "app1", password: "s3cret")
        var machine = opened()
        #expect(auth(&machine, "PLAIN \(plain("\0app1\0s3cret"))") == .verify(login))
        #expect(machine.phase == .verifying)
        #expect(machine.verified(granted) == .reply(.loggedIn))
        #expect(machine.isLoggedIn && machine.phase == .commands)
        #expect(auth(&machine, "PLAIN \(plain("\0app1\0s3cret"))") == .reply(.badSequence), "once a session")

        machine = opened()
        #expect(auth(&machine, "plain") == .reply(.giveCredentials))
        #expect(respond(&machine, plain("app1\0app1\0s3cret")) == .verify(login))
    }

    @Test
    func `LOGIN asks for name and password, and takes a name given at once`() {
        let login = Login(username: "grüße@a.example", password: "p w")
        var machine = opened()
        #expect(auth(&machine, "LOGIN") == .reply(.giveName))
        #expect(respond(&machine, plain("grüße@a.example")) == .reply(.givePassword))
        #expect(respond(&machine, plain("p w")) == .verify(login))
        machine = opened()
        #expect(auth(&machine, "LOGIN \(plain("grüße@a.example"))") == .reply(.givePassword))
        #expect(respond(&machine, plain("p w")) == .verify(login))
    }

    @Test
    func `a wrong login may be tried again, until there were too many errors`() {
        var machine = opened()
        for _ in 0..<5 {
            #expect(auth(&machine, "PLAIN \(plain("\0a\0b"))") == .verify(Login(username: "a", password: "b")))
            #expect(machine.verified(.refused(.loginRefused)) == .reply(.loginRefused))
            #expect(!machine.isLoggedIn)
        }
        _ = auth(&machine, "PLAIN \(plain("\0a\0b"))")
        #expect(machine.verified(.refused(.loginRefused)) == .close(.tooManyErrors))
    }

    @Test(arguments: [
        "\0\0s3cret", "\0app1\0", "app1\0s3cret", "other\0app1\0s3cret", "\0app1\0s3cret\0", "\0a\u{7}b\0s3cret",
        "\0app1\0" + String(repeating: "x", count: 256), "\0" + String(repeating: "x", count: 256) + "\0s3cret", "",
    ])
    func `what is no login is refused unseen`(_ text: String) {
        var machine = opened()
        #expect(auth(&machine, "PLAIN") == .reply(.giveCredentials))
        #expect(respond(&machine, plain(text)) == .reply(.loginRefused))
        #expect(machine.phase == .commands)
    }

    @Test
    func `EXTERNAL is for whom the handshake has made known`() {
        var policy = policy
        policy.certified = "acme"
        policy.offersLogin = false
        for words in ["EXTERNAL =", "external \(plain("acme"))", "EXTERNAL"] {
            var machine = ServerMachine(policy: policy, offersTLS: true)
            _ = machine.opened(encrypted: true)
            #expect(auth(&machine, words) == .reply(.helloFirst))
            _ = machine.received(.hello(name: "c", extended: true), admission: nil)
            #expect(machine.offers == .external)
            if words == "EXTERNAL" {
                #expect(auth(&machine, words) == .reply(.giveCredentials))
                #expect(respond(&machine, "") == .reply(.loggedIn))
            } else {
                #expect(auth(&machine, words) == .reply(.loggedIn))
            }
            #expect(machine.isLoggedIn && machine.phase == .commands)
            #expect(auth(&machine, "EXTERNAL =") == .reply(.badSequence), "once a session")
        }
        var machine = ServerMachine(policy: policy, offersTLS: true)
        _ = machine.opened(encrypted: true)
        _ = machine.received(.hello(name: "c", extended: true), admission: nil)
        #expect(auth(&machine, "EXTERNAL \(plain("other"))") == .reply(.loginRefused), "nobody acts as somebody else")
        #expect(!machine.isLoggedIn && machine.phase == .commands)
        #expect(auth(&machine, "PLAIN \(plain("\0a\0b"))") == .reply(.unknownMechanism), "nobody has a password")
        var unknown = opened()
        #expect(unknown.offers == .login)
        #expect(auth(&unknown, "EXTERNAL =") == .reply(.unknownMechanism))
        let clear = ServerMachine(policy: policy, offersTLS: true)
        #expect(clear.offers == .startTLS, "a handshake has to come first")
    }

    @Test
    func `octets that are no UTF-8 are no login`() {
        var machine = opened()
        #expect(auth(&machine, "PLAIN \(Base64.text([0, 0xC3, 0x28, 0, 65]))") == .reply(.loginRefused))
    }

    @Test(arguments: ["*", "!!!!", "AGEAYg", "AGEAYh==", "AGE=AGE=", String(repeating: "A", count: 1_400)])
    func `an exchange can be cancelled or spoiled, and the session goes on`(_ line: String) {
        for mechanism in ["PLAIN", "LOGIN"] {
            var machine = opened()
            _ = auth(&machine, mechanism)
            #expect(respond(&machine, line) == .reply(line == "*" ? .loginCancelled : .badBase64))
            #expect(machine.phase == .commands)
            #expect(auth(&machine, "PLAIN \(plain("\0a\0b"))") == .verify(Login(username: "a", password: "b")))
        }
    }

    @Test
    func `an empty response is one`() {
        var machine = opened()
        #expect(auth(&machine, "PLAIN =") == .reply(.loginRefused))
        #expect(auth(&machine, "LOGIN =") == .reply(.givePassword))
        #expect(respond(&machine, plain("x")) == .reply(.loginRefused))
    }

    @Test
    func `where AUTH has no place`() {
        var clear = opened(encrypted: false)
        #expect(auth(&clear, "PLAIN \(plain("\0a\0b"))") == .reply(.loginNeedsTLS))
        var without = opened(offered: false)
        #expect(auth(&without, "PLAIN") == .reply(.notImplemented))
        var old = opened(extended: false)
        #expect(auth(&old, "PLAIN") == .reply(.helloFirst))
        var machine = opened()
        #expect(auth(&machine, "CRAM-MD5") == .reply(.unknownMechanism))
        #expect(auth(&machine, "") == .reply(.arguments))
        #expect(auth(&machine, "PLAIN AA== more") == .reply(.arguments))
        _ = machine.received(.mail(MailCommand(sender: .null)), admission: nil)
        #expect(auth(&machine, "PLAIN") == .reply(.badSequence), "not inside a transaction")
    }

    @Test
    func `a shutdown does not wait for a client's password, and lets in nobody`() {
        var machine = opened()
        _ = auth(&machine, "LOGIN")
        #expect(machine.shutDown() == .close(.shuttingDown))
        machine = opened()
        _ = auth(&machine, "PLAIN \(plain("\0a\0b"))")
        #expect(machine.shutDown() == .nothing)
        #expect(machine.verified(granted) == .close(.shuttingDown))
    }

    @Test
    func `base64 is read as strictly as it is written`() {
        for length in 0...40 {
            let octets = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 200) }
            let text = Array(Base64.text(octets).utf8)
            #expect(text.withUnsafeBytes { Base64.octets(Span(_unsafeBytes: $0)) } == octets)
        }
        for text in ["A", "AA", "AAA", "=AAA", "A===", "AA=A", "AB==", "AAB=", "A A=", "AA==AA==", "AAA_", "AAAA="] {
            #expect(Array(text.utf8).withUnsafeBytes { Base64.octets(Span(_unsafeBytes: $0)) } == nil, "\(text)")
        }
    }

    @Test
    func `MAIL may say for whom a message is sent`() {
        for value in ["<>", "a@b.example", "e+3Dmc2@example.com"] {
            CommandFixture("MAIL FROM:<a@b> AUTH=\(value)", Self.mailWithAuth).check()
        }
        for value in ["", "a=b", "+3d", "+3", "grüße"] {
            CommandFixture("MAIL FROM:<a@b> AUTH=\(value)", fault: .arguments).check()
        }
        CommandFixture("MAIL FROM:<a@b> AUTH=<> AUTH=<>", fault: .arguments).check()
        CommandFixture("MAIL FROM:<a@b> AUTH", fault: .arguments).check()
    }

    private static var mailWithAuth: Command {
        var command = MailCommand(sender: .address(address("a", "b")))
        command.hasAuth = true
        return .mail(command)
    }
}
