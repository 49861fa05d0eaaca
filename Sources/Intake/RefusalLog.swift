import Filtering
import Logging
import Mail
import NIOCore
import SMTP
import Synchronization

/// Tells the operator what was refused, without letting a client write the log full.
final class RefusalLog: Sendable {
    private struct Window {
        var start: NIODeadline
        var lines = 0
    }

    /// Enough to see who it is, too little to fill a disk.
    private static let linesPerWindow = 5
    private static let window = TimeAmount.seconds(10)

    private let logger: Logger
    /// By reply: there are as many entries as we have replies.
    private let windows = Mutex<[ServerReply: Window]>([:])

    init(logger: Logger) {
        self.logger = logger
    }

    /// - Parameter port: of the client's end, where a load balancer has said it.
    func refused(_ reply: ServerReply, client: IPAddress, port: UInt16? = nil, customer: String?) {
        guard let unsaid = admit(reply) else { return }
        var metadata: Logger.Metadata = ["client": "\(client)", "reply": "\(reply.text)"]
        if let port { metadata["port"] = "\(port)" }
        if let customer { metadata["customer"] = "\(customer)" }
        if unsaid > 0 { metadata["unsaid"] = "\(unsaid)" }
        logger.notice("client refused", metadata: metadata)
    }

    /// A message was refused for what it is. Each is told, as its author may ask: a whole message and its check were
    /// paid for the line.
    func turnedAway(_ line: String, because said: String, message: TraceEvent.Acceptance) {
        logger.notice(
            "message refused",
            metadata: [
                "message": "\(message.message)", "client": "\(message.client)", "customer": "\(message.customer)",
                "from": "<\(message.sender)>", "recipients": "\(message.recipients.count)", "reply": "\(line)",
                "filter": "\(said)",
            ])
    }

    /// What a filter wanted changed about a message and its author's signature forbids: the message goes on otherwise
    /// than the filter means it to.
    func spared(_ spared: [HeaderEdits.Spared], signed: [String], message: TraceEvent.Acceptance) {
        var metadata: Logger.Metadata = [
            "message": "\(message.message)", "customer": "\(message.customer)", "from": "<\(message.sender)>",
            "signed_by": "\(signed.joined(separator: ","))",
        ]
        for wish in HeaderEdits.Spared.Wish.allCases {
            let fields = spared.filter { $0.wish == wish }.map(\.field)
            if !fields.isEmpty { metadata[wish.rawValue] = "\(fields.joined(separator: ","))" }
        }
        logger.notice("left as signed", metadata: metadata)
    }

    /// A wrong name or password. Names that no account has are not told: people type passwords into the wrong field.
    func loginFailed(client: IPAddress, user: String?, customer: String?) {
        guard let unsaid = admit(.loginRefused) else { return }
        var metadata: Logger.Metadata = ["client": "\(client)", "user": "\(user ?? "unknown")"]
        if let customer { metadata["customer"] = "\(customer)" }
        if unsaid > 0 { metadata["unsaid"] = "\(unsaid)" }
        logger.notice("login failed", metadata: metadata)
    }

    /// Content could not be kept; the client was told to come back.
    func notKept(_ reason: String, client: IPAddress, message: MessageID) {
        guard let unsaid = admit(.storeFailed) else { return }
        logger.error(
            "message not kept",
            metadata: [
                "client": "\(client)", "message": "\(message)", "reason": "\(reason)", "unsaid": "\(unsaid)",
            ])
    }

    /// The system would not give us a connection that a client wants.
    func notAccepted(_ error: any Error) {
        guard let unsaid = admit(.tooManyConnections) else { return }
        logger.error("connection not accepted", metadata: ["reason": "\(error)", "unsaid": "\(unsaid)"])
    }

    /// - Returns: how many lines of the window before were left out; nil when this one is to be left out too.
    private func admit(_ reply: ServerReply) -> Int? {
        // Whatever the time of day.
        let reply = ServerReply(reply.line)
        let now = NIODeadline.now()
        return windows.withLock { windows in
            var current = windows[reply] ?? Window(start: now)
            var unsaid = 0
            if now - current.start > Self.window {
                unsaid = max(0, current.lines - Self.linesPerWindow)
                current = Window(start: now)
            }
            current.lines += 1
            windows[reply] = current
            return current.lines <= Self.linesPerWindow ? unsaid : nil
        }
    }
}
