package import NIOCore

/// What filters say of one message, as one answer.
package struct Verdict: Sendable, Hashable {
    /// What rspamd asks to be done, in its own words, the mildest first.
    package enum Action: String, Sendable, Hashable, CaseIterable {
        case noAction = "no action"
        case greylist
        case addHeader = "add header"
        case rewriteSubject = "rewrite subject"
        case softReject = "soft reject"
        case reject
    }

    /// One rule that matched, or the virus that was found.
    package struct Symbol: Sendable, Hashable {
        package var name: String
        package var score: Double
        package var options: [String]

        package init(name: String, score: Double, options: [String] = []) {
            self.name = name
            self.score = score
            self.options = options
        }
    }

    /// What rspamd wants changed about the message (its milter headers).
    package struct Changes: Sendable, Hashable {
        package struct Field: Sendable, Hashable {
            package var name: String
            package var value: String

            package init(name: String, value: String) {
                self.name = name
                self.value = value
            }
        }

        package struct Removal: Sendable, Hashable {
            package var name: String
            /// Which of that name: 0 all of them, 1 the first, -1 the last.
            package var which: Int

            package init(name: String, which: Int) {
                self.name = name
                self.which = which
            }
        }

        package var add: [Field] = []
        package var remove: [Removal] = []
        /// The whole value of the Subject field.
        package var subject: String?
        /// Header and body, instead of what was sent.
        package var content: ByteBuffer?

        package init() {}

        package var isEmpty: Bool { self == Changes() }
    }

    package var action: Action
    package var score: Double
    /// The score from which on mail is rejected.
    package var required: Double
    package var symbols: [Symbol] = []
    /// The name of what was found; beats every score.
    package var virus: String?
    /// For the client's eyes, where rspamd has something to say.
    package var smtpMessage: String?
    /// To be kept until somebody has looked at it.
    package var isQuarantined = false
    package var changes = Changes()

    package init(action: Action, score: Double, required: Double) {
        self.action = action
        self.score = score
        self.required = required
    }
}

/// What came of checking a message.
package enum CheckResult: Sendable, Hashable {
    case verdict(Verdict)
    /// Some part of the check gave no answer that can be relied upon; the reason is for the operator.
    case unavailable(String)
    /// More than is scanned.
    case tooLarge
}

/// What is asked of the filters: a message, and how it came.
package struct Question: Sendable {
    package var client: String?
    package var hello: String?
    /// The customer.
    package var user: String?
    /// Without angle brackets; empty for <>.
    package var sender: String?
    package var recipients: [String] = []
    package var queueID: String?
    /// TLS version; nil in the clear.
    package var tls: String?
    /// The client's name, where one is known.
    package var hostname: String?
    /// Other header fields of a request that is handed on.
    package var passed: [Verdict.Changes.Field] = []
    /// As the client sent it.
    package var content: ByteBuffer

    package init(content: ByteBuffer) {
        self.content = content
    }
}
