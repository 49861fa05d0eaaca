import Mail
import Testing

@testable import SMTP

private typealias Host = ClientTranscript

@Suite struct ClientTransactionPipelined {
    @Test func `one write, four replies, one message`() {
        let host = Host.open()
        #expect(host.send(recipients: 2) == .envelope)
        #expect(host.waiting == .mail)
        #expect(host.says("250 sender") == .wait)
        #expect(host.waiting == .rcpt)
        #expect(host.says("250 first") == .wait)
        #expect(host.says("250 second") == .wait)
        #expect(host.waiting == .data)
        #expect(host.says("354 go") == .content)
        #expect(host.waiting == .block)
        #expect(host.contentSent() == .wait)
        #expect(host.waiting == .dot)
        let kept = Host.answer(.dot, "250 kept")
        #expect(host.says("250 kept") == .finished([kept, kept], then: .stay))
        #expect(host.send() == .envelope)
    }

    @Test func `refused recipients do not hold up the others`() {
        let host = Host.open()
        #expect(host.send(recipients: 3) == .envelope)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("550 no such user") == .wait)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("452 too many") == .wait)
        #expect(host.says("354 go") == .content)
        #expect(host.contentSent() == .wait)
        let answers = [
            Host.answer(.rcpt, "550 no such user"), Host.answer(.dot, "250 kept"), Host.answer(.rcpt, "452 too many"),
        ]
        #expect(host.says("250 kept") == .finished(answers, then: .stay))
    }

    @Test func `a refused MAIL is every recipient's answer, and RSET comes before the next message`() {
        let host = Host.open()
        #expect(host.send(recipients: 2) == .envelope)
        #expect(host.says("550 blocked") == .wait)
        #expect(host.says("503 MAIL first") == .wait)
        #expect(host.says("503 MAIL first") == .wait)
        #expect(host.says("503 MAIL first") == .reset)
        #expect(host.waiting == .parting)
        let refusal = Host.answer(.mail, "550 blocked")
        #expect(host.says("250 reset") == .finished([refusal, refusal], then: .stay))
    }

    @Test func `with all recipients refused, DATA that was taken gets a lone dot`() {
        let host = Host.open()
        #expect(host.send() == .envelope)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("550 no") == .wait)
        #expect(host.says("354 go") == .loneDot)
        #expect(host.says("250 kept nothing") == .reset)
        #expect(host.says("250 reset") == .finished([Host.answer(.rcpt, "550 no")], then: .stay))
    }

    @Test func `with all recipients refused, DATA is refused and RSET follows`() {
        let host = Host.open()
        #expect(host.send() == .envelope)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("550 no") == .wait)
        #expect(host.says("554 no valid recipients") == .reset)
        #expect(host.says("250 reset") == .finished([Host.answer(.rcpt, "550 no")], then: .stay))
    }

    @Test func `a recipient taken after a refused MAIL never gets an empty message`() {
        let host = Host.open()
        #expect(host.send() == .envelope)
        #expect(host.says("550 blocked") == .wait)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("354 go") == .finished([Host.answer(.mail, "550 blocked")], then: .close))
    }

    @Test func `a refused DATA is the answer of the recipients that were taken`() {
        let host = Host.open()
        #expect(host.send(recipients: 2) == .envelope)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("550 no") == .wait)
        #expect(host.says("250 ok") == .wait)
        #expect(host.says("451 not now") == .reset)
        let answers = [Host.answer(.rcpt, "550 no"), Host.answer(.data, "451 not now")]
        #expect(host.says("250 reset") == .finished(answers, then: .stay))
    }

    @Test func `a refused dot is followed by RSET; without a 250 to it the session ends`() {
        let host = Host.open()
        _ = host.send()
        _ = host.says("250 ok")
        _ = host.says("250 ok")
        _ = host.says("354 go")
        _ = host.contentSent()
        #expect(host.says("554 spam") == .reset)
        #expect(host.says("500 what?") == .finished([Host.answer(.dot, "554 spam")], then: .close))
    }

    @Test(arguments: [0, 1, 2, 3])
    func `421 ends session and transaction wherever it comes`(after: Int) {
        let host = Host.open()
        _ = host.send()
        for reply in ["250 ok", "250 ok", "354 go"].prefix(after) {
            _ = host.says(reply)
        }
        if after == 3 { _ = host.contentSent() }
        let phase: Phase = [.mail, .rcpt, .data, .dot][after]
        #expect(host.says("421 going down") == .finished([Host.answer(phase, "421 going down")], then: .close))
        #expect(host.hangsUp() == .wait)
    }

    @Test(arguments: [0, 1, 2, 3, 4])
    func `silence and hangups are told with the phase they came in`(after: Int) {
        func host() -> Host {
            let host = Host.open()
            _ = host.send()
            for reply in ["250 ok", "250 ok", "354 go"].prefix(after) {
                _ = host.says(reply)
            }
            if after == 4 { _ = host.contentSent() }
            return host
        }
        // While content is being sent nothing is in doubt: the final dot is not out.
        let phase: Phase = [.mail, .rcpt, .data, .data, .dot][after]
        let silence = after == 3 ? "content not taken in time" : "no answer in time"
        #expect(host().isSilent() == .finished([Host.answer(phase, .timeout, silence)], then: .close))
        #expect(host().hangsUp() == .finished([Host.answer(phase, .connection, "closed")], then: .close))
        #expect(host().talksNonsense() == .finished([Host.answer(phase, .nonsense, "what?")], then: .close))
    }

    @Test func `who was refused before a hangup keeps that answer`() {
        let host = Host.open()
        _ = host.send(recipients: 3)
        _ = host.says("250 ok")
        _ = host.says("550 no")
        _ = host.says("250 ok")
        let lost = Host.answer(.rcpt, .connection, "closed")
        #expect(host.hangsUp() == .finished([Host.answer(.rcpt, "550 no"), lost, lost], then: .close))
    }

    @Test func `a refusal of MAIL stands when the host hangs up after it`() {
        let host = Host.open()
        _ = host.send()
        _ = host.says("550 blocked")
        #expect(host.hangsUp() == .finished([Host.answer(.mail, "550 blocked")], then: .close))
    }

    @Test func `the outcome is told when RSET gets no answer`() {
        for silent in [true, false] {
            let host = Host.open()
            _ = host.send()
            _ = host.says("250 ok")
            _ = host.says("250 ok")
            _ = host.says("452 full")
            let outcome = ClientAction.finished([Host.answer(.data, "452 full")], then: .close)
            #expect((silent ? host.isSilent() : host.hangsUp()) == outcome)
        }
    }

    @Test func `a refusal while content is being sent stops it`() {
        let host = Host.open()
        _ = host.send()
        _ = host.says("250 ok")
        _ = host.says("250 ok")
        #expect(host.says("354 go") == .content)
        #expect(host.says("552 too large") == .finished([Host.answer(.data, "552 too large")], then: .close))
        #expect(host.contentSent() == .wait)
    }

    @Test func `content that cannot be had is our own trouble, and never a final dot`() {
        let host = Host.open()
        _ = host.send()
        _ = host.says("250 ok")
        _ = host.says("250 ok")
        _ = host.says("354 go")
        #expect(host.contentFailed() == .finished([Host.answer(.data, .local, "gone")], then: .close))
    }

    @Test(arguments: [(0, "354"), (1, "354"), (2, "250"), (3, "354")])
    func `a positive reply of the wrong kind is no consent`(after: Int, code: String) {
        let host = Host.open()
        _ = host.send()
        for reply in ["250 ok", "250 ok", "354 go"].prefix(after) {
            _ = host.says(reply)
        }
        if after == 3 { _ = host.contentSent() }
        guard case .finished(let answers, .close) = host.says("\(code) hm"),
            case .trouble(.nonsense, _) = answers[0].answer
        else {
            Issue.record("went on")
            return
        }
    }

    @Test func `more than the answer to the dot ends the session, not the delivery`() {
        let host = Host.open()
        _ = host.send()
        _ = host.says("250 ok")
        _ = host.says("250 ok")
        _ = host.says("354 go")
        _ = host.contentSent()
        #expect(host.says("250 kept", more: true) == .finished([Host.answer(.dot, "250 kept")], then: .close))
    }

    @Test func `a session that is closed during a transaction says QUIT after it`() {
        let host = Host.open()
        _ = host.send()
        #expect(host.close() == .wait)
        _ = host.says("250 ok")
        _ = host.says("250 ok")
        _ = host.says("354 go")
        _ = host.contentSent()
        #expect(host.says("250 kept") == .finished([Host.answer(.dot, "250 kept")], then: .quit))
        #expect(host.says("221 bye") == .drop)
    }
}

@Suite struct ClientTransactionStepByStep {
    @Test func `each command waits for its answer`() {
        let host = Host.open(features: "8BITMIME")
        #expect(host.send(recipients: 2) == .mail)
        #expect(host.says("250 ok") == .rcpt(0))
        #expect(host.says("550 no") == .rcpt(1))
        #expect(host.says("250 ok") == .data)
        #expect(host.says("354 go") == .content)
        #expect(host.contentSent() == .wait)
        let answers = [Host.answer(.rcpt, "550 no"), Host.answer(.dot, "250 kept")]
        #expect(host.says("250 kept") == .finished(answers, then: .stay))
    }

    @Test func `a refused MAIL ends it`() {
        let host = Host.open(features: "8BITMIME")
        #expect(host.send() == .mail)
        #expect(host.says("451 later") == .reset)
        #expect(host.says("250 ok") == .finished([Host.answer(.mail, "451 later")], then: .stay))
    }

    @Test func `without any recipient DATA is not said`() {
        let host = Host.open(features: "8BITMIME")
        #expect(host.send() == .mail)
        #expect(host.says("250 ok") == .rcpt(0))
        #expect(host.says("550 no") == .reset)
        #expect(host.says("250 ok") == .finished([Host.answer(.rcpt, "550 no")], then: .stay))
    }
}

@Suite struct ClientTransactionNotBegun {
    @Test func `a message larger than the host's limit`() {
        let host = Host.open(features: "SIZE 1000")
        let trouble = Host.answer(.mail, .tooLarge, "the host takes 1000 octets at most")
        #expect(host.send(size: 1_001) == .finished([trouble], then: .stay))
        #expect(host.send(size: 1_000) == .mail)
    }

    @Test(arguments: ["SIZE", "SIZE 0", "SIZE 99999999999999999999999999", "SIZE lots"])
    func `a limit that is none`(feature: String) {
        #expect(Host.open(features: feature).send(size: 1 << 40) == .mail)
    }

    @Test func `SMTPUTF8 where it is not offered`() {
        let host = Host.open(features: "8BITMIME")
        let trouble = Host.answer(.mail, .missingExtension, "the host does not offer SMTPUTF8")
        #expect(host.send(recipients: 2, utf8: true) == .finished([trouble, trouble], then: .stay))
        #expect(Host.open(features: "smtputf8").send(utf8: true) == .mail)
    }
}
