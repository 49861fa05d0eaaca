import Logging
import Mail
import Queue
import RelayTesting
import Synchronization
import Testing

/// A running queue over a store in memory, with a clock that stands still and a dispatcher that takes notes.
final class QueueRig: Sendable {
    let time = ManualTime()
    let store: MemoryStore
    let dispatcher = NotingDispatcher()
    let trace = NotingTrace()
    let contents = NotingContents()
    let queue: MailQueue
    let mails: Mails

    init(
        store: MemoryStore = MemoryStore(), start: Bool = true,
        _ configure: (inout MailQueue.Configuration) -> Void = { _ in }
    )
        throws
    {
        self.store = store
        var configuration = MailQueue.Configuration()
        configuration.tick = Timestamp.Span(milliseconds: 5)
        configuration.expiryEvery = Timestamp.Span(milliseconds: 5)
        configuration.moveWithin = Timestamp.Span(milliseconds: 5)
        configuration.recoveryPause = Timestamp.Span(milliseconds: 50)
        configure(&configuration)
        queue = MailQueue(
            store: store, contents: contents, trace: trace, time: time,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, configuration: configuration)
        queue.attach(dispatcher)
        mails = Mails(time)
        if start { try queue.start() }
    }

    deinit {
        queue.stop()
    }

    /// Commits all at once and waits for the answers.
    @discardableResult
    func commit(_ mails: Accepted...) async -> [CommitResult] { await commit(mails) }

    @discardableResult
    func commit(_ mails: [Accepted]) async -> [CommitResult] {
        let answers = Answers(mails.count)
        for mail in mails { queue.commit(mail) { answers.add($0) } }
        return await answers.all()
    }

    /// Fetches and waits for the answer.
    func fetch(_ domain: String = "example.org", limit: Int = 100) async throws -> (works: [Work], more: Bool) {
        let before = dispatcher.notes.fetched.count
        queue.fetch(domain: domain, limit: limit)
        try await eventually { dispatcher.notes.fetched.count > before }
        let answer = dispatcher.notes.fetched[before]
        return (answer.works, answer.more)
    }

    /// Whether the domain is named as due within some ticks from now on.
    func isNamed(_ domain: String = "example.org", within milliseconds: Int = 5_000) async throws -> Bool {
        let before = dispatcher.notes.due.count
        for _ in 0..<milliseconds {
            if dispatcher.notes.due.dropFirst(before).contains(where: { $0.contains(domain) }) { return true }
            try await Task.sleep(for: .milliseconds(1))
        }
        return false
    }
}

final class Answers: Sendable {
    private let count: Int
    private let results = Mutex<[CommitResult]>([])

    init(_ count: Int) { self.count = count }

    func add(_ result: CommitResult) { results.withLock { $0.append(result) } }

    var now: [CommitResult] { results.withLock { $0 } }

    func all() async -> [CommitResult] {
        try? await eventually { self.now.count == self.count }
        return now
    }
}

extension CommitResult {
    var isCommitted: Bool { if case .committed = self { true } else { false } }
}

/// Waits until the condition holds, ten seconds at most.
func eventually(
    _ condition: @Sendable () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    for _ in 0..<10_000 {
        if try condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    Issue.record("did not come true within ten seconds", sourceLocation: sourceLocation)
}
