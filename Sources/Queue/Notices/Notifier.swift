import Logging
import Mail
import NIOCore
import Synchronization

/// Tells senders what became of their mail, on a thread of its own: composing a notice may read and write files.
///
/// What is to be told stands in the store from the moment in which a recipient ends. A notice is committed in the same
/// transaction that takes it out of there, and that removes the message when nothing else of it is left. So a crash at
/// any point leads to the notice once: either all of that is there afterwards, or it is made again.
///
/// 1. Look for messages of which something is to be told: at once where nothing of them is waited for any more, else
///    when the first of it is ``NoticeSettings/gather`` old, so that what fails together is told together.
/// 2. Decide who is told what (``NoticePlan``), and compose it (``NoticeContent``).
/// 3. Hand a page of that to the commit thread, and wait until it is durable.
/// 4. Look for messages that have waited for ``NoticeSettings/delayAfter``.
final class Notifier: Sendable {
    private let store: any QueueStore
    private let time: any TimeSource
    private let log: Logger
    private let inbox: Inbox
    private let bell: Bell
    private let contents: any ContentFiles
    private let making: Mutex<Making>
    private let written = Bell()
    private let state: Mutex<State>

    private struct State {
        var closing = false
        /// Tellings that are with the commit thread.
        var underway = 0
        /// Up to it delays were told.
        var delayed: MessageID
        /// Messages that cannot be told of for now, and until when they are left alone.
        var resting: [MessageID: Timestamp] = [:]
    }

    /// Messages and octets of a transaction.
    private static let page = 64
    private static let pageBytes = 8 << 20
    /// How long a message is left alone that cannot be read, or whose notice cannot be made.
    private static let rest = Timestamp.Span.minutes(1)

    init(_ parts: MailQueue.Parts, _ settings: NoticeSettings, delayed: MessageID) {
        store = parts.store
        time = parts.time
        log = parts.logger
        inbox = parts.inbox
        bell = parts.shared.untold
        contents = parts.contents
        making = Mutex(Making(settings, parts.contents))
        state = Mutex(State(delayed: delayed))
    }

    /// How notices are made; a reload replaces it.
    private struct Making {
        let settings: NoticeSettings
        let plan: NoticePlan
        let content: NoticeContent

        init(_ settings: NoticeSettings, _ contents: any ContentFiles) {
            self.settings = settings
            plan = NoticePlan(settings)
            content = NoticeContent(settings, contents: contents)
        }
    }

    var settings: NoticeSettings { making.withLock { $0.settings } }
    private var plan: NoticePlan { making.withLock { $0.plan } }
    private var content: NoticeContent { making.withLock { $0.content } }

    /// For the notices that are made from now on.
    func replace(_ settings: NoticeSettings) {
        let new = Making(settings, contents)
        making.withLock { $0 = new }
        bell.ring()
    }

    func close() {
        state.withLock { $0.closing = true }
        bell.ring()
        written.ring()
    }

    private var isClosing: Bool { state.withLock { $0.closing } }

    func run() {
        while !isClosing {
            let next = attempt("untold") { try tell() } ?? nil
            attempt("delays") { try tellDelays() }
            let wait = next.map { max($0 - time.now(), Timestamp.Span(milliseconds: 1)) } ?? .seconds(1)
            bell.wait(nanoseconds: min(wait, .seconds(1)).amount.nanoseconds)
        }
    }

    // MARK: ends

    /// Tells all that is to be told now.
    ///
    /// - Returns: when to look again for what is still gathering; nil when nothing is.
    private func tell() throws -> Timestamp? {
        var cursor: UntoldCursor?
        var next: Timestamp?
        while !isClosing {
            let page = try store.untold(after: cursor, limit: Self.page)
            guard let last = page.last else { return next }
            cursor = last
            let now = time.now()
            var telling = Telling(then: {})
            var seen: Set<MessageID> = []
            var bytes = 0
            for entry in page where !isResting(entry.message, at: now) {
                let due = entry.at + settings.gather
                guard entry.hasEnded || due <= now else {
                    next = min(next ?? due, due)
                    continue
                }
                guard seen.insert(entry.message).inserted else { continue }
                guard let message = try store.untoldMessage(entry.message) else {
                    rest(entry.message, from: now)
                    continue
                }
                bytes += tell(of: message, at: now, in: &telling)
                if bytes >= Self.pageBytes {
                    hand(over: telling)
                    telling = Telling(then: {})
                    bytes = 0
                }
            }
            hand(over: telling)
        }
        return nil
    }

    /// - Returns: octets of content that the telling holds for it.
    private func tell(of message: UntoldMessage, at now: Timestamp, in telling: inout Telling) -> Int {
        var made: [Accepted] = []
        var events: [TraceEvent] = []
        do {
            for step in plan.steps(for: message) {
                switch step {
                case .notify(let notice):
                    let accepted = try content.make(notice, of: message.message, at: now)
                    made.append(accepted)
                    events += step.events(about: message.message.id, notice: accepted.message.id, at: now)
                case .silence:
                    events += step.events(about: message.message.id, notice: nil, at: now)
                }
            }
        } catch {
            log.error(
                "notice cannot be made, it is tried again",
                metadata: ["message": "\(message.message.id)", "error": "\(error)"])
            rest(message.message.id, from: now)
            content.drop(made)
            return 0
        }
        telling.notices += made
        telling.told.append(Told(message: message.message.id, reports: message.reports))
        telling.events += events
        return made.reduce(0) { $0 + $1.message.inlineSize }
    }

    private func rest(_ id: MessageID, from now: Timestamp) {
        state.withLock { $0.resting[id] = now + Self.rest }
    }

    private func isResting(_ id: MessageID, at now: Timestamp) -> Bool {
        state.withLock { state in
            guard let until = state.resting[id] else { return false }
            if until <= now { state.resting[id] = nil }
            return until > now
        }
    }

    // MARK: delays

    /// Every message passes the cursor once, and with it the only point where its delay is told.
    private func tellDelays() throws {
        guard let after = settings.delayAfter else { return }
        let through = MessageID.before(Timestamp(milliseconds: time.now().milliseconds - after.milliseconds))
        while !isClosing {
            let from = state.withLock { $0.delayed }
            guard from < through else { return }
            let page = try store.waiting(after: from, through: through, limit: Self.page)
            let reached = page.count < Self.page ? through : page.last ?? through
            if !page.isEmpty {
                var telling = Telling(then: {})
                telling.delays = Delays(messages: page, through: reached)
                hand(over: telling)
                bell.ring()
            }
            state.withLock { $0.delayed = reached }
            if page.count < Self.page { return }
        }
    }

    // MARK: writing

    /// Waits until the commit thread has written it, or nobody will.
    private func hand(over telling: Telling) {
        guard !telling.told.isEmpty || telling.delays != nil else { return }
        var telling = telling
        telling.then = { [self] in
            state.withLock { $0.underway -= 1 }
            written.ring()
        }
        state.withLock { $0.underway += 1 }
        inbox.add(telling)
        while state.withLock({ $0.underway > 0 && !$0.closing }) { written.wait(nanoseconds: 1_000_000_000) }
    }

    @discardableResult
    private func attempt<Value>(_ part: String, _ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            log.error("telling senders failed", metadata: ["part": "\(part)", "error": "\(error)"])
            return nil
        }
    }
}
