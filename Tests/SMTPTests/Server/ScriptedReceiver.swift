import Mail
import NIOCore
import NIOEmbedded
import SMTP
import Testing

/// Keeps what a session hands over, and answers when it is told to.
final class ScriptedReceiver: MailReceiver, MessageSink {
    var room: ServerReply?
    var envelopes: [Envelope] = []
    var facts: [ServerSessionFacts] = []
    var contents: [String] = []
    var abandoned = 0
    var refusals: [ServerReply] = []
    var isSaturated = false
    var answersAtOnce = true
    /// Given instead of keeping the message.
    var verdict: ServerReply?
    var refusal: ServerReply?
    var drained: (() -> Void)?
    var senderRefusal: ServerReply?
    var recipientRefusal: ServerReply?
    var logins: [Login] = []
    /// Given at once; nil waits for `loginAnswer` to be called.
    var loginVerdict: ServerMachine.LoginVerdict?
    var loginAnswer: ((ServerMachine.LoginVerdict) -> Void)?
    var answer: ((ServerMachine.Verdict) -> Void)?
    let wantsCertificate = false

    func admission() -> ServerReply? { room }

    func refusal(of sender: ReversePath) -> ServerReply? { senderRefusal }

    func refusal(ofRecipient recipient: ForwardPath) -> ServerReply? { recipientRefusal }

    func begin(
        _ envelope: Envelope, _ facts: ServerSessionFacts, content: inout ByteBuffer, drained: @escaping () -> Void
    ) -> any MessageSink {
        envelopes.append(envelope)
        self.facts.append(facts)
        self.drained = drained
        return self
    }

    func shown(_ certificate: ClientCertificate) -> ServerMachine.Policy {
        ServerMachine.Policy(mayRelay: true, postmaster: nil, recipients: 10, errors: 5, messageSize: 1_000)
    }

    /// Given to XCLIENT.
    var naming: ServerMachine.LoginVerdict?
    var named: [NamedClient] = []

    func named(_ client: NamedClient) -> ServerMachine.LoginVerdict {
        named.append(client)
        return naming ?? .refused(.namedLoginUnknown)
    }

    func verify(_ login: Login, answer: @escaping (ServerMachine.LoginVerdict) -> Void) {
        logins.append(login)
        if let loginVerdict { answer(loginVerdict) } else { loginAnswer = answer }
    }

    func refused(_ reply: ServerReply) { refusals.append(reply) }

    func ended(_ channel: any Channel) {}

    func received(_ content: inout ByteBuffer) -> ServerReply? { refusal }

    func end(_ content: inout ByteBuffer, eightBit: Bool, answer: @escaping (ServerMachine.Verdict) -> Void) {
        if let verdict { return answer(.refused(verdict)) }
        contents.append(String(buffer: content))
        if answersAtOnce {
            answer(.queued(MessageID(value: UInt64(contents.count))))
        } else {
            self.answer = answer
        }
    }

    func abandon() { abandoned += 1 }
}

/// A session without a network: what is said goes in, what is answered comes out.
struct Session {
    let channel = EmbeddedChannel()
    let receiver = ScriptedReceiver()

    init(mode: TLSMode = .none, relay: Bool = true, messageSize: Int = 1_000, errors: Int = 20) throws {
        let timeouts = ServerTimeouts(command: .minutes(5), data: .minutes(3), content: .hours(1), minimumRate: 100)
        let handler = ServerHandler(
            settings: ServerSettings(
                hostname: "relay.example", mode: mode, messageSize: messageSize, lineLength: 998, timeouts: timeouts),
            policy: .init(
                mayRelay: relay, postmaster: nil, recipients: 100, errors: errors, messageSize: messageSize),
            receiver: receiver, certificates: nil,
            watch: SessionWatch(loop: channel.embeddedEventLoop, timeouts: timeouts))
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 25)).wait()
        #expect(try heard() == "220 relay.example ESMTP Figaro\r\n")
    }

    /// What the server has said since, all writes joined.
    func heard() throws -> String {
        var text = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }

    /// Says something in one piece.
    func say(_ text: String) throws -> String {
        try channel.writeInbound(ByteBuffer(string: text))
        return try heard()
    }

    /// Says something one octet a read.
    func dribble(_ text: String) throws -> String {
        for octet in text.utf8 { try channel.writeInbound(ByteBuffer(bytes: [octet])) }
        return try heard()
    }

    /// In the middle of a message, after 354.
    func data() throws {
        #expect(
            try say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").hasSuffix(
                "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"))
    }
}
