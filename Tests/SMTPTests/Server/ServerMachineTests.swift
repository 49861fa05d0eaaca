import Mail
import SMTP
import Testing

@Suite("Server session machine")
struct ServerMachineTests {
    private let alice = address("alice", "example.com")
    private let bob = address("bob", "example.com")

    private func machine(
        relay: Bool = true, postmaster: Address? = nil, recipients: Int = 100, errors: Int = 3, tls: Bool = false
    ) -> ServerMachine {
        ServerMachine(
            policy: .init(
                mayRelay: relay, postmaster: postmaster, recipients: recipients, errors: errors, messageSize: 1_000),
            offersTLS: tls)
    }

    private func opened(
        relay: Bool = true, postmaster: Address? = nil, recipients: Int = 100, errors: Int = 3, tls: Bool = false
    ) -> ServerMachine {
        var machine = machine(
            relay: relay, postmaster: postmaster, recipients: recipients, errors: errors, tls: tls)
        #expect(machine.opened(encrypted: false) == .greet)
        #expect(machine.receive(.hello(name: "c", extended: true)) == .hello(extended: true))
        return machine
    }

    private func to(_ recipient: Address, nonASCII: Bool = false) -> Command {
        .rcpt(.address(recipient, nonASCII: nonASCII))
    }

    @Test
    func `two messages in one session`() throws {
        var machine = opened()
        for number in UInt64(1)...2 {
            #expect(machine.receive(mail(.address(alice))) == .reply(.senderOk))
            #expect(machine.receive(to(bob)) == .reply(.recipientOk))
            guard case .receive(let envelope) = machine.receive(.data) else { throw Unexpected() }
            #expect(envelope.recipients == [bob] && envelope.sender == .address(alice))
            #expect(machine.receive(.noop) == .nothing)
            #expect(machine.contentEnded(refusal: nil) == .commit(envelope))
            let id = MessageID(value: number)
            #expect(machine.committed(.queued(id)) == .queued(id, thenClose: nil))
        }
        #expect(machine.receive(.quit) == .close(.bye))
        #expect(machine.receive(.noop) == .nothing)
    }

    @Test
    func `commands out of sequence are refused with 503`() {
        var machine = machine(errors: 100)
        #expect(machine.opened(encrypted: false) == .greet)
        #expect(machine.receive(mail(.null)) == .reply(.helloFirst))
        #expect(machine.receive(to(bob)) == .reply(.helloFirst))
        #expect(machine.receive(.data) == .reply(.helloFirst))
        #expect(machine.receive(.hello(name: "c", extended: false)) == .hello(extended: false))
        #expect(machine.receive(to(bob)) == .reply(.badSequence))
        #expect(machine.receive(.data) == .reply(.badSequence))
        #expect(machine.receive(mail(.null)) == .reply(.senderOk))
        #expect(machine.receive(mail(.null)) == .reply(.badSequence))
        #expect(machine.receive(.data) == .reply(.noRecipients))
        #expect(machine.receive(to(bob)) == .reply(.recipientOk))
        #expect(machine.receive(.rset) == .reply(.ok))
        #expect(machine.receive(.data) == .reply(.badSequence))
        #expect(machine.receive(mail(.null)) == .reply(.senderOk))
        #expect(machine.receive(.hello(name: "c", extended: true)) == .hello(extended: true))
        #expect(machine.receive(to(bob)) == .reply(.badSequence))
    }

    @Test
    func `strangers may not relay, but may write to a configured postmaster`() {
        var machine = opened(relay: false)
        #expect(machine.receive(mail(.address(alice))) == .reply(.senderOk))
        #expect(machine.receive(to(bob)) == .reply(.relayDenied))
        #expect(machine.receive(.rcpt(.postmaster)) == .reply(.noPostmaster))
        machine = opened(relay: false, postmaster: bob)
        #expect(machine.receive(mail(.address(alice))) == .reply(.senderOk))
        #expect(machine.receive(.rcpt(.postmaster)) == .reply(.recipientOk))
        #expect(machine.receive(to(bob)) == .reply(.relayDenied))
    }

    @Test
    func `a repeated recipient is merged, one too many gets 452`() throws {
        var machine = opened(recipients: 20)
        #expect(machine.receive(mail(.null)) == .reply(.senderOk))
        let all = (0..<20).map { address("user\($0)", "example.com") }
        for recipient in all + all { #expect(machine.receive(to(recipient)) == .reply(.recipientOk)) }
        #expect(machine.receive(to(bob)) == .reply(.tooManyRecipients))
        guard case .receive(let envelope) = machine.receive(.data) else { throw Unexpected() }
        #expect(envelope.recipients == all)
    }

    @Test
    func `UTF-8 addresses need SMTPUTF8`() {
        var machine = opened()
        #expect(machine.receive(mail(.address(alice), nonASCII: true)) == .reply(.needsSMTPUTF8))
        #expect(machine.receive(mail(.address(alice))) == .reply(.senderOk))
        #expect(machine.receive(to(bob, nonASCII: true)) == .reply(.needsSMTPUTF8))
        #expect(machine.receive(.rset) == .reply(.ok))
        #expect(machine.receive(mail(.address(alice), nonASCII: true, utf8: true)) == .reply(.senderOk))
        #expect(machine.receive(to(bob, nonASCII: true)) == .reply(.recipientOk))
    }

    @Test
    func `a declared size above the limit is refused at MAIL`() {
        var machine = opened()
        #expect(machine.receive(mail(.null, size: 1_001)) == .reply(.tooLarge))
        #expect(machine.receive(mail(.null, size: .max)) == .reply(.tooLarge))
        #expect(machine.receive(mail(.null, size: 1_000)) == .reply(.senderOk))
    }

    @Test
    func `no room is said at MAIL and before DATA, and costs the client nothing`() {
        var machine = opened(errors: 1)
        for reply in [ServerReply.busy, .diskShort, .storeFailed, .busy] {
            #expect(machine.receive(mail(.null), unless: reply) == .reply(reply))
        }
        #expect(machine.receive(mail(.null)) == .reply(.senderOk))
        #expect(machine.receive(to(bob)) == .reply(.recipientOk))
        #expect(machine.receive(.data, unless: .diskShort) == .reply(.diskShort))
        #expect(machine.receive(mail(.null), unless: .shuttingDown) == .close(.shuttingDown))
    }

    @Test
    func `too many errors end the session with 421`() {
        var machine = opened(errors: 3)
        for _ in 0..<3 { #expect(machine.received(.unknown) == .reply(.unknown)) }
        #expect(machine.received(.unknown) == .close(.tooManyErrors))
        #expect(machine.phase == .closed)
    }

    @Test
    func `a client that only idles is an error in the end`() {
        var machine = opened(errors: 3)
        var commands = 0
        while machine.receive(.noop) == .reply(.ok), commands < 1_000 { commands += 1 }
        #expect(machine.phase == .closed && commands > 100 && commands < 120)
    }

    @Test
    func `after the handshake nothing said in the clear is known`() {
        var machine = opened(tls: true)
        #expect(machine.receive(.startTLS) == .upgrade(.readyForTLS))
        #expect(machine.receive(mail(.null)) == .nothing)
        #expect(machine.encrypted() == .nothing)
        #expect(machine.isEncrypted && machine.hello == nil)
        #expect(machine.receive(mail(.null)) == .reply(.helloFirst))
        #expect(machine.receive(.startTLS) == .reply(.badSequence))
    }

    @Test
    func `STARTTLS is not known where it is not offered`() {
        var machine = opened(tls: false)
        #expect(machine.receive(.startTLS) == .reply(.notImplemented))
    }

    @Test
    func `shutting down ends the idle at once and lets content be finished`() throws {
        var idle = opened()
        #expect(idle.shutDown() == .close(.shuttingDown))

        var busy = opened()
        #expect(busy.receive(mail(.null)) == .reply(.senderOk))
        #expect(busy.receive(to(bob)) == .reply(.recipientOk))
        guard case .receive(let envelope) = busy.receive(.data) else { throw Unexpected() }
        #expect(busy.shutDown() == .nothing)
        #expect(busy.contentEnded(refusal: nil) == .commit(envelope))
        let id = MessageID(value: 1)
        #expect(busy.committed(.queued(id)) == .queued(id, thenClose: .shuttingDown))
        #expect(busy.phase == .closed)

        var refused = opened()
        #expect(refused.receive(mail(.null)) == .reply(.senderOk))
        #expect(refused.receive(to(bob)) == .reply(.recipientOk))
        guard case .receive = refused.receive(.data) else { throw Unexpected() }
        #expect(refused.shutDown() == .nothing)
        #expect(refused.contentEnded(refusal: .tooLarge) == .close(.tooLarge, also: .shuttingDown))
    }

    @Test
    func `deadlines end the session with 421 in every phase`() throws {
        var idle = opened()
        #expect(idle.timedOut() == .close(.timeout))
        var slow = opened()
        #expect(slow.receive(mail(.null)) == .reply(.senderOk))
        #expect(slow.receive(to(bob)) == .reply(.recipientOk))
        guard case .receive = slow.receive(.data) else { throw Unexpected() }
        #expect(slow.timedOut() == .close(.tooSlow))
        #expect(slow.timedOut() == .nothing)
    }
}

struct Unexpected: Error {}

extension ServerMachine {
    /// `#expect` cannot pass a mutating call an autoclosure.
    fileprivate mutating func receive(_ command: Command, unless refusal: ServerReply? = nil) -> Action {
        received(command, admission: refusal)
    }
}
