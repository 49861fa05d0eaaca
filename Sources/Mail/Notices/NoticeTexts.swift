/// What notices say to people in one language. Data, not code: a language is added by a file.
///
/// Words in braces are replaced: `{host}` the relay, `{date}` when the message came, `{id}` its id here, `{until}`
/// how long it will be tried, `{remote}` a receiver's host, `{domain}` a recipient's domain, `{limit}` the octets
/// that a host takes. Of a held customer: `{customer}` its name, `{why}` the reason, `{receivers}` lines of all that
/// refused.
package struct NoticeTexts: Sendable, Hashable {
    /// A tag such as `de` (RFC 5646 section 2.1).
    package var language: String
    /// The name beside the address that notices come from.
    package var from: String
    package var failure: Passage
    package var delay: Passage
    package var success: Passage
    /// To the postmaster, about a notice that could not be delivered.
    package var undeliverable: Passage
    /// To the postmaster, about a customer who was held; nil where nothing is said.
    package var held: Passage?
    /// Before a receiver's words.
    package var said: String
    /// Where a deadline passed, before what stood in the way.
    package var expired: String
    /// Where a deadline passed without an answer, and where it has not passed yet.
    package var noAnswer: String
    package var noAnswerYet: String
    /// Where an attempt ended without a reply.
    package var trouble: String
    package var relayed: String
    /// What was tried, where a relay was asked in the end, and where it could not be asked.
    package var relayRefused: String
    package var relayDown: String
    /// Before the relay's words.
    package var relaySaid: String
    /// A sentence for each reason that no receiver gave.
    package var reasons: [NoticeReason: String]
    /// What it means and what to do about it, by the name of the cause.
    package var advice: [Cause: String]
    package var headersFollow: String
    package var messageFollows: String

    package struct Passage: Sendable, Hashable {
        package var subject: String
        package var opening: String

        package init(subject: String, opening: String) {
            self.subject = subject
            self.opening = opening
        }
    }

    package init(
        language: String, from: String, failure: Passage, delay: Passage, success: Passage, undeliverable: Passage,
        said: String, expired: String, noAnswer: String, noAnswerYet: String, trouble: String, relayed: String,
        relayRefused: String, relayDown: String, relaySaid: String, reasons: [NoticeReason: String],
        advice: [Cause: String], headersFollow: String, messageFollows: String, held: Passage? = nil
    ) {
        self.language = language
        self.from = from
        self.failure = failure
        self.delay = delay
        self.success = success
        self.undeliverable = undeliverable
        self.said = said
        self.expired = expired
        self.noAnswer = noAnswer
        self.noAnswerYet = noAnswerYet
        self.trouble = trouble
        self.relayed = relayed
        self.relayRefused = relayRefused
        self.relayDown = relayDown
        self.relaySaid = relaySaid
        self.reasons = reasons
        self.advice = advice
        self.headersFollow = headersFollow
        self.messageFollows = messageFollows
        self.held = held
    }

    package func passage(_ kind: NoticeKind, undeliverable isUndeliverable: Bool) -> Passage {
        switch kind {
        case _ where isUndeliverable: undeliverable
        case .failure: failure
        case .delay: delay
        case .success: success
        }
    }

    /// Puts values in for words in braces, in one pass: a brace in a value is text.
    package static func filled(_ template: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            result += rest[..<open]
            let name = String(rest[rest.index(after: open)..<close])
            result += values[name] ?? String(rest[open...close])
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    /// The words in braces that a file may use.
    package static let words = [
        "host", "date", "id", "until", "remote", "domain", "limit", "sources", "attempts", "handed", "customer", "why",
        "receivers",
    ]
}
