package import Mail
package import NIOCore
package import Queue
import Synchronization

/// Messages as tests need them: same sender and customer, small content, ids that grow.
package struct Mails: Sendable {
    private let generator: MessageID.Generator
    private let time: any TimeSource

    package init(_ time: any TimeSource) {
        self.time = time
        generator = MessageID.Generator(time: time)
    }

    /// - Parameters:
    ///   - recipients: as `user@domain`.
    ///   - file: the content is a file, named by the message's id.
    package func next(
        to recipients: [String] = ["ada@example.org"], from sender: String? = "eve@example.com",
        customer: String = "acme",
        content: String = "Subject: x\r\n\r\nhello\r\n", file: Bool = false, lives: Timestamp.Span = .days(5)
    ) -> Accepted {
        let id = generator.next()
        let now = time.now()
        let path = sender.map { ReversePath.address(Address($0)) } ?? .null
        let addresses = recipients.map { Address($0) }
        let message = QueuedMessage(
            id: id, customer: customer, sender: path, eightBit: false, utf8: false, size: content.utf8.count,
            arrived: now,
            expires: now + lives, content: file ? .file(name: "\(id)") : .inline(ByteBuffer(string: content)))
        let trace = TraceEvent.Acceptance(
            message: id, at: now, customer: customer, client: IPAddress(v4: 0x7F00_0001), helo: "client.example",
            tls: nil,
            sender: path, recipients: addresses, size: message.size)
        return Accepted(message: message, recipients: addresses, trace: trace)
    }
}

extension Mails {
    /// A receiver's words as they are kept with a work.
    package func refusal(_ words: String) -> Refusal { .said(words, at: time.now()) }
}

extension Refusal {
    /// `450 4.2.0 later`, as a host of example.org said it.
    package static func said(_ words: String, cause: Cause = .unknown, at: Timestamp) -> Refusal {
        let code = UInt16(words.prefix(3)) ?? 450
        let rest = Array(words.utf8.dropFirst(4))
        let found = EnhancedStatus.leading(rest.span)
        let text = String(decoding: rest.dropFirst(found.map { $0.length + 1 } ?? 0), as: UTF8.self)
        return Refusal(
            host: "mx.example.org", phase: .rcpt, answer: .reply(Reply(code, found?.code, text)), cause: cause, at: at)
    }
}

extension Address {
    /// Splits at the last `@`; for tests.
    package init(_ text: String) {
        let parts = text.split(separator: "@")
        self.init(localPart: parts.dropLast().joined(separator: "@"), domain: parts.last.map(String.init) ?? "")
    }
}

extension Accepted {
    package var id: MessageID { message.id }

    package var stored: StoredMessage { StoredMessage(message: message, recipients: recipients) }

    package func key(_ domain: String = "example.org") -> WorkKey { WorkKey(message: id, domain: domain) }

    /// As it is filed, due now unless said otherwise.
    package func row(_ domain: String = "example.org", due: Timestamp? = nil, onAgenda: Bool = true) -> WaitingRow {
        WaitingRow(
            key: key(domain), customer: message.customer, expires: message.expires,
            recipients: recipients.filter { $0.domain == domain },
            progress: Progress(due: due ?? message.arrived), onAgenda: onAgenda)
    }

    /// Everything of a domain was delivered.
    package func delivered(_ domain: String = "example.org") -> Settlement {
        ended(domain, how: .delivered, reason: "250 ok")
    }

    package func ended(_ domain: String = "example.org", how: RecipientEnd, reason: String) -> Settlement {
        let ended = recipients.filter { $0.domain == domain }.map {
            Settlement.Ended(recipient: $0, how: how, reason: reason, at: message.arrived)
        }
        return Settlement(key: key(domain), ended: ended, remaining: nil)
    }

    /// Everything of a domain is tried again later.
    package func deferred(_ domain: String = "example.org", due: Timestamp, refusal: String = "450 later") -> Settlement
    {
        let work = Work(
            message: message, domain: domain, recipients: recipients.filter { $0.domain == domain },
            progress: Progress(
                rounds: 1, due: due, tried: ["a"], firstRefusal: .said(refusal, at: message.arrived),
                lastRefusal: refusal))
        return Settlement(key: key(domain), ended: [], remaining: work)
    }
}

/// A dispatcher that notes what it is told and does what it was set to.
package final class NotingDispatcher: Dispatcher {
    private let state = Mutex(Notes())

    package struct Notes: Sendable {
        package var arrived: [[Work]] = []
        package var due: [[String]] = []
        package var failing: Set<String> = []
        package var fetched: [(domain: String, works: [Work], more: Bool)] = []
        package var asked: [[WorkKey]] = []
        /// Works it has room for; what is above comes back.
        package var room = Int.max
        package var onWire: Set<WorkKey> = []
        /// What was asked back.
        package var recalled: [Set<WorkKey>] = []
        package var lifted: [[String]] = []
        package var sites: [String: SiteNote] = [:]
    }

    private let giving = Mutex<(@Sendable (WorkKey) -> Void)?>(nil)

    package init() {}

    package var notes: Notes { state.withLock { $0 } }

    package func set(_ change: (inout Notes) -> Void) { state.withLock { change(&$0) } }

    package func arrived(_ works: [Work]) -> [Work] {
        state.withLock { notes in
            notes.arrived.append(works)
            return Array(works.dropFirst(notes.room))
        }
    }

    package func due(domains: [String], failing: Set<String>) {
        state.withLock { notes in
            notes.due.append(domains)
            notes.failing.formUnion(failing)
        }
    }

    package func fetched(domain: String, works: [Work], more: Bool) {
        state.withLock { $0.fetched.append((domain, works, more)) }
    }

    package func expire(_ keys: [WorkKey]) -> [WorkKey] {
        state.withLock { notes in
            notes.asked.append(keys)
            return keys.filter { notes.onWire.contains($0) }
        }
    }

    /// Works that are asked back and not on the wire are handed to the body, which is to settle them.
    package func onRecall(_ give: @escaping @Sendable (WorkKey) -> Void) { giving.withLock { $0 = give } }

    package func recall(_ keys: Set<WorkKey>) -> [WorkKey] {
        let wired = state.withLock { notes in
            notes.recalled.append(keys)
            return keys.filter { notes.onWire.contains($0) }
        }
        let give = giving.withLock { $0 }
        for key in keys.subtracting(wired) { give?(key) }
        return Array(wired)
    }

    package func lift(domains: [String]) { state.withLock { $0.lifted.append(domains) } }

    package func site(of domain: String) -> SiteNote? { state.withLock { $0.sites[domain] } }
}

/// A trace that keeps everything.
package final class NotingTrace: TraceSink {
    private let state = Mutex<[TraceEvent]>([])

    package init() {}

    package var events: [TraceEvent] { state.withLock { $0 } }

    package func record(_ events: [TraceEvent]) { state.withLock { $0.append(contentsOf: events) } }
}

/// Content files that nothing is written to; notes what is removed.
package final class NotingContents: ContentFiles {
    private let names = Mutex<[String]>([])

    package init() {}

    package var removed: [String] { names.withLock { $0 } }

    package func remove(_ names: [String]) { self.names.withLock { $0.append(contentsOf: names) } }

    package func write(for id: MessageID, on loop: any EventLoop) -> any ContentWriter { NoWriter(loop: loop) }

    package func read(_ name: String, on loop: any EventLoop) -> EventLoopFuture<any ContentReader> {
        loop.makeFailedFuture(StoreFailure(.failed, "no such file"))
    }

    private final class NoWriter: ContentWriter {
        let loop: any EventLoop
        let backlog = 0

        init(loop: any EventLoop) { self.loop = loop }

        func append(_ bytes: ByteBuffer) -> EventLoopFuture<Void> { loop.makeSucceededVoidFuture() }

        func overwrite(_ bytes: ByteBuffer, at offset: Int) -> EventLoopFuture<Void> {
            loop.makeSucceededVoidFuture()
        }

        func restart() {}

        func finish() -> EventLoopFuture<Content> {
            loop.makeFailedFuture(StoreFailure(.failed, "nothing is written here"))
        }

        func abandon() {}
    }
}

extension Accepted {
    /// The same, with what its sender asked of notices.
    package func asking(_ request: NoticeRequest?) -> Accepted {
        let old = message
        let message = QueuedMessage(
            id: old.id, customer: old.customer, sender: old.sender, eightBit: old.eightBit, utf8: old.utf8,
            size: old.size, arrived: old.arrived, expires: old.expires, request: request, content: old.content)
        return Accepted(message: message, recipients: recipients, trace: trace)
    }
}
