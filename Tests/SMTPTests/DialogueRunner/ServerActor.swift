import Mail
import NIOCore
import NIOEmbedded
import SMTP

/// Figaro as the server of a dialogue.
final class ServerActor: DialogueActor {
    let channel = EmbeddedChannel()
    private let receiver = ScriptedReceiver()
    private var store = "keeps"

    init(_ dialogue: Dialogue) throws {
        var settings = Settings()
        for setting in dialogue.settings {
            guard settings.read(setting.key, setting.value) else {
                throw dialogue.fault(setting.line, "“\(setting.key): \(setting.value)” is no setting of a server")
            }
        }
        receiver.room = settings.admission
        receiver.refusal = settings.content
        receiver.answersAtOnce = settings.storeAnswers
        receiver.verdict = settings.verdict
        let policy = ServerMachine.Policy(
            mayRelay: settings.relays, postmaster: settings.postmaster, recipients: settings.recipients,
            errors: settings.errors, messageSize: settings.messageSize, mayName: settings.names)
        var other = policy
        other.mayName = false
        receiver.naming = .accepted(other)
        let timeouts = ServerTimeouts(command: .minutes(5), data: .minutes(3), content: .hours(1), minimumRate: 100)
        let handler = ServerHandler(
            settings: ServerSettings(
                hostname: "relay.example", mode: settings.mode, messageSize: settings.messageSize,
                lineLength: settings.lineLength, timeouts: timeouts),
            policy: policy, receiver: receiver, certificates: nil,
            watch: SessionWatch(loop: channel.embeddedEventLoop, timeouts: timeouts))
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 25)).wait()
    }

    /// The head of a dialogue.
    private struct Settings {
        var mode = TLSMode.none
        var messageSize = 1_000
        var lineLength = 998
        var recipients = 100
        var errors = 20
        var relays = true
        var names = false
        var postmaster: Address?
        var admission: ServerReply?
        var content: ServerReply?
        var storeAnswers = true
        var verdict: ServerReply?

        mutating func read(_ key: String, _ value: String) -> Bool {
            let number = Int(value).flatMap { $0 > 0 ? $0 : nil }
            switch (key, value) {
            case ("message_size", _): return set(\.messageSize, number)
            case ("line_length", _): return set(\.lineLength, number)
            case ("recipients", _): return set(\.recipients, number)
            case ("errors", _): return set(\.errors, number)
            case ("tls", _): return set(\.mode, TLSMode(rawValue: value))
            case ("relay", "yes"), ("relay", "no"): relays = value == "yes"
            case ("xclient", "yes"), ("xclient", "no"): names = value == "yes"
            case ("postmaster", _): postmaster = try? Address(parsing: value)
            case ("room", "none"): admission = .busy
            case ("room", "disk short"): admission = .diskShort
            case ("room", "closing"): admission = .shuttingDown
            case ("content", "too many hops"): content = .tooManyHops
            case ("store", "waits"): storeAnswers = false
            case ("store", "fails"): verdict = .storeFailed
            default: return false
            }
            return true
        }

        private mutating func set<Value>(_ path: WritableKeyPath<Settings, Value>, _ value: Value?) -> Bool {
            guard let value else { return false }
            self[keyPath: path] = value
            return true
        }
    }

    func event(_ name: String) throws -> Bool {
        switch name {
        case "time passed": break
        case "shut down": channel.pipeline.fireUserInboundEventTriggered(ServerEvent.shutDown)
        case "cut off": channel.pipeline.fireUserInboundEventTriggered(ServerEvent.cutOff)
        case "room": receiver.room = nil
        case "no room": receiver.room = .busy
        case "stored": receiver.answer?(.queued(MessageID(value: UInt64(receiver.contents.count))))
        case "not stored": receiver.answer?(.refused(.storeFailed))
        default: return false
        }
        return true
    }

    func outcome(_ expected: Dialogue.Expectation) -> String? {
        switch expected.words.split(separator: " ").first {
        case "kept": return "kept \(receiver.contents.count)"
        case "abandoned": return "abandoned \(receiver.abandoned)"
        case "from": return receiver.envelopes.last.map { "from <\($0.sender)>" }
        case "to": return receiver.envelopes.last.map { "to " + $0.recipients.map { "<\($0)>" }.joined(separator: " ") }
        case "content": return receiver.contents.last.map { "content " + Self.escaped($0) }
        case "octets": return receiver.contents.last.map { "octets \($0.utf8.count)" }
        default: return nil
        }
    }

    /// What was kept need not be mentioned: most dialogues are about the words.
    var unmentioned: String? { nil }

    private static func escaped(_ content: String) -> String {
        var text = ""
        for scalar in content.unicodeScalars {
            switch scalar {
            case "\r": text += "\\r"
            case "\n": text += "\\n"
            case "\\": text += "\\\\"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
