/// What was said, or what happened where nothing was said.
package enum Answer: Sendable, Hashable {
    case reply(Reply)
    /// Timed out, reset, closed, no route, cannot bind: in a few words.
    case trouble(Trouble, String)

    package enum Trouble: Sendable, Hashable {
        /// The peer did not answer in time.
        case timeout
        /// The connection was refused, reset or closed, or there is no way to the host.
        case connection
        /// The peer broke the protocol: no reply code, an endless reply.
        case nonsense
        /// TLS could not be agreed or verified as the plan demands.
        case tls
        /// Our own machine: cannot bind the source, out of sockets, content unreadable.
        case local
        /// The rule on where Figaro may connect forbids it.
        case forbidden
        /// What the message needs (SMTPUTF8) the host does not offer.
        case missingExtension
        /// The content has octets above 127, and the host does not offer 8BITMIME.
        case missing8BitMIME
        /// The message is larger than the SIZE that the host announced (RFC 1870 section 4).
        case tooLarge
        /// The relay's operator ended it, in these words.
        case returned
    }
}

extension Answer {
    private static let limitBegins = "the host takes "

    /// - Parameter limit: octets, as the host announced.
    package static func tooLarge(limit: Int) -> Answer {
        .trouble(.tooLarge, "\(limitBegins)\(limit) octets at most")
    }

    /// What ``tooLarge(limit:)`` was made of.
    var sizeLimit: Int? {
        guard case .trouble(.tooLarge, let text) = self, text.hasPrefix(Self.limitBegins) else { return nil }
        return Int(text.dropFirst(Self.limitBegins.count).prefix { $0 != " " })
    }
}

/// A phase and what came of it.
package struct PhaseAnswer: Sendable, Hashable {
    package let phase: Phase
    package let answer: Answer

    package init(phase: Phase, answer: Answer) {
        self.phase = phase
        self.answer = answer
    }
}
