import Mail
import NIOCore
import NIOEmbedded
import NIOSSL

@testable import SMTP

/// Figaro as the client of a dialogue: it sends the mail of the head, one message after the other, as the host lets it.
final class ClientActor: DialogueActor, ClientDelegate {
    let channel = EmbeddedChannel()
    private var handler: ClientHandler?
    private var mails: [Letter] = []
    private var outcomes: [String] = []

    private struct Letter {
        var sender: ReversePath
        var recipients: [Address]
        var content: [UInt8] = []
        var needsUTF8 = false
        var asIs = false
        var aLabels: [String: String] = [:]
    }

    init(_ dialogue: Dialogue) throws {
        var hello = "out-1.example"
        var security = ClientTLS.never
        for setting in dialogue.settings {
            switch (setting.key, setting.value) {
            case ("hello", _): hello = setting.value
            case ("tls", "never"): security = .never
            case ("tls", "offered"): security = try .unverified()
            case ("tls", "demanded"): security = try .verified(by: .default)
            default: try read(setting, of: dialogue)
            }
        }
        let handler = ClientHandler(
            hello: hello, host: "mx.example", security: security, deadlines: ClientDeadlines(), delegate: self)
        self.handler = handler
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 25), promise: nil)
    }

    /// `mail: <ann@a.example> to <bob@b.example> <cat@c.example>` and what belongs to it.
    private func read(_ setting: Dialogue.Setting, of dialogue: Dialogue) throws {
        let fault = dialogue.fault(setting.line, "“\(setting.key): \(setting.value)” is no setting of a client")
        if setting.key == "mail" {
            let sides = setting.value.split(separator: " to ", maxSplits: 1)
            guard sides.count == 2, let sender = Self.path(sides[0]) else { throw fault }
            let recipients = sides[1].split(separator: " ").compactMap { text -> Address? in
                if case .address(let address)? = Self.path(text) { address } else { nil }
            }
            guard !recipients.isEmpty else { throw fault }
            mails.append(Letter(sender: sender, recipients: recipients))
            return
        }
        guard !mails.isEmpty else { throw fault }
        let last = mails.count - 1
        switch (setting.key, setting.value) {
        case ("content", let text): mails[last].content += try Escapes.octets(text) + [13, 10]
        case ("octets", let text): mails[last].content += try Escapes.octets(text)
        case ("header", "utf8"): mails[last].needsUTF8 = true
        case ("8bit", "as is"): mails[last].asIs = true
        case ("a-label", let pair):
            let forms = pair.split(separator: " ")
            guard forms.count == 2 else { throw fault }
            mails[last].aLabels[String(forms[0])] = String(forms[1])
        default: throw fault
        }
    }

    private static func path(_ text: Substring) -> ReversePath? {
        guard text.first == "<", text.last == ">" else { return nil }
        let inside = text.dropFirst().dropLast()
        if inside.isEmpty { return .null }
        guard let at = inside.lastIndex(of: "@") else { return nil }
        return .address(Address(localPart: String(inside[..<at]), domain: String(inside[inside.index(after: at)...])))
    }

    func event(_ name: String) throws -> Bool {
        switch name {
        case "time passed": handler?.checkDeadline(channel.embeddedEventLoop.now)
        case "close": handler?.close()
        default: return false
        }
        return true
    }

    func outcome(_ expected: Dialogue.Expectation) -> String? {
        outcomes.isEmpty ? nil : outcomes.removeFirst()
    }

    var unmentioned: String? { outcomes.first }

    // MARK: Reports

    func clientOpened(tls: String?, features: HostFeatures) {
        outcomes.append("open")
        sendNext()
    }

    func clientFailed(_ answer: PhaseAnswer) { outcomes.append("failed \(Self.text(answer))") }

    func clientFinished(_ answers: [PhaseAnswer], reusable: Bool) {
        for (recipient, answer) in zip(sent, answers) { outcomes.append("\(recipient) \(Self.text(answer))") }
        outcomes.append(reusable ? "session goes on" : "session over")
        if reusable { sendNext() }
    }

    func clientClosed() { outcomes.append("session over") }

    private var sent: [Address] = []

    private func sendNext() {
        guard !mails.isEmpty else { return }
        let mail = mails.removeFirst()
        sent = mail.recipients
        var envelope = ClientEnvelope(
            sender: mail.sender, recipients: mail.recipients, size: mail.content.count,
            eightBit: mail.content.contains { $0 > 127 }, utf8: mail.needsUTF8,
            content: .inline(ByteBuffer(bytes: mail.content)))
        envelope.eightBitAsIs = mail.asIs
        let aLabels = mail.aLabels
        envelope.aLabels = { aLabels[$0] }
        handler?.send(envelope)
    }

    private static func text(_ answer: PhaseAnswer) -> String {
        switch answer.answer {
        case .reply(let reply): "\(answer.phase) \(reply)"
        case .trouble(let kind, let text): "\(answer.phase) \(kind): \(text)"
        }
    }
}
