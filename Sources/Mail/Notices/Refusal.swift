/// What stood in a recipient's way, as it is remembered with the mail and quoted to its sender.
package struct Refusal: Sendable, Hashable, CustomStringConvertible {
    /// Name or address of the host; nil where none was reached.
    package var host: String?
    package var phase: Phase
    package var answer: Answer
    package var cause: Cause
    package var at: Timestamp
    /// Our own judgement where no receiver gave one, such as 5.1.10 for a null MX (RFC 7505 section 4.2).
    package var status: EnhancedStatus?

    package init(
        host: String?, phase: Phase, answer: Answer, cause: Cause, at: Timestamp, status: EnhancedStatus? = nil
    ) {
        self.host = host
        self.phase = phase
        self.answer = answer
        self.cause = cause
        self.at = at
        self.status = status
    }

    /// In one line: `mx.example.org said: 550 5.1.1 no such user (rcpt)`.
    package var description: String {
        [host, answer.said, "(\(phase))"].compactMap(\.self).joined(separator: " ")
    }

    /// How much it tells: 0 that nothing was said, 1 to come again, 2 a reason.
    package var weight: Int {
        switch answer {
        case .reply:
            switch cause {
            case .greylist, .volume, .host: 1
            default: 2
            }
        case .trouble(.tooLarge, _), .trouble(.missingExtension, _), .trouble(.missing8BitMIME, _),
            .trouble(.forbidden, _), .trouble(.returned, _):
            2
        case .trouble: 0
        }
    }
}

extension Answer {
    /// nil where nothing was said.
    package var reply: Reply? {
        if case .reply(let reply) = self { reply } else { nil }
    }

    /// In one line: the receiver's words, or what happened.
    package var said: String {
        switch self {
        case .reply(let reply): "said: \(reply)"
        case .trouble(_, let text): text
        }
    }
}

extension Refusal? {
    /// Keeps the first one that tells most, so that a late time-out does not hide an earlier reply.
    package mutating func note(_ refusal: Refusal) {
        guard let known = self, known.weight >= refusal.weight else {
            self = refusal
            return
        }
    }
}
