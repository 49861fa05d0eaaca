package import Mail
package import NIOCore

/// How senders are told; see ``MailQueue/startNotices(_:)``.
package struct NoticeSettings: Sendable {
    /// This relay, in the fields and in the address that notices come from.
    package var hostname: String
    package var ids: MessageID.Generator
    package var texts: NoticeTexts
    /// Those of customers that have another language, by their names.
    package var customerTexts: [String: NoticeTexts] = [:]
    /// Who is told that a notice could not be delivered; nil: nobody.
    package var postmaster: Address?
    /// Octets above which a notice of failure brings back the header alone.
    package var fullMessage = 50 << 10
    /// How long a message waits until its sender is told of the delay; nil: never.
    package var delayAfter: Timestamp.Span? = .hours(4)
    /// How long a failure waits for others of the same message, while any of its recipients is still waited for.
    package var gather = Timestamp.Span.seconds(10)
    /// How long a notice itself is tried.
    package var lifetime = Timestamp.Span.days(5)
    /// nil: they go unsigned.
    package var signer: (any NoticeSigner)?
    /// Where content files are read and written.
    package var loop: any EventLoop

    package init(
        hostname: String, ids: MessageID.Generator, texts: NoticeTexts, loop: any EventLoop
    ) {
        self.hostname = hostname
        self.ids = ids
        self.texts = texts
        self.loop = loop
    }
}

/// What one transaction writes of what senders are told: notices, and what needs to be kept no longer because of them.
struct Telling: Sendable {
    var notices: [Accepted] = []
    var told: [Told] = []
    var delays: Delays?
    var events: [TraceEvent] = []
    /// Called when it is durable, on the commit thread.
    var then: @Sendable () -> Void
}
