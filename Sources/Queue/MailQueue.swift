package import Logging
package import Mail
import NIOCore
import Synchronization

/// Everything that was accepted and has not ended: commits it, hands it out when due, and keeps it until it ends.
///
/// Two threads of its own do the work, so that no event loop ever waits for a disk: the commit thread (``Committer``)
/// is the only one that writes, the reader thread (``Reader``) pages due work, names due domains, and enforces
/// deadlines. A work is either fresh (``FreshMessages``, in memory, its message's row in the store) or filed (rows of
/// its own in the store); a filed one is either with Delivery (``Ledger``) or waits for its due time.
package final class MailQueue: Sendable {
    let parts: Parts
    let requests = Requests()
    private let notifier = Mutex<Notifier?>(nil)
    private let threads = Mutex(Threads())

    package init(
        store: any QueueStore, contents: any ContentFiles, trace: any TraceSink, time: any TimeSource = SystemTime(),
        logger: Logger, configuration: Configuration = Configuration()
    ) {
        parts = Parts(
            store: store, contents: contents, trace: trace, time: time, logger: logger, configuration: configuration)
    }

    struct Parts: Sendable {
        let store: any QueueStore
        let contents: any ContentFiles
        let trace: any TraceSink
        let time: any TimeSource
        let logger: Logger
        let configuration: Configuration
        let inbox: Inbox
        let shared = Shared()
        let figures = CommitFigures()

        init(
            store: any QueueStore, contents: any ContentFiles, trace: any TraceSink, time: any TimeSource,
            logger: Logger, configuration: Configuration
        ) {
            self.store = store
            self.contents = contents
            self.trace = trace
            self.time = time
            self.logger = logger
            self.configuration = configuration
            inbox = Inbox(configuration: configuration)
        }
    }

    private struct Threads {
        var highest: MessageID?
        var delayed = MessageID(value: 0)
        var running: [OwnThread] = []
    }

    /// The highest id that was ever committed, or above it: where ``MessageID/Generator`` goes on. Valid after
    /// ``start()``.
    package var highestID: MessageID? { threads.withLock { $0.highest } }

    /// Names who takes the work; called once, before ``start()``.
    package func attach(_ dispatcher: any Dispatcher) {
        parts.shared.attach(dispatcher)
    }

    /// Opens the store, files what a crash left fresh, and starts the two threads. Blocks; throws ``StoreFailure`` when
    /// the store is unusable.
    package func start() throws {
        let state = try Recovery(store: parts.store, time: parts.time, log: parts.logger).run()
        try parts.contents.sweep(living: parts.store.existing)
        let committing = try OwnThread(name: "figaro-commit") { [parts] in
            Committer(parts, bounds: IDBounds(state)).run()
        }
        let reading = try OwnThread(name: "figaro-read") { [parts, requests] in
            Reader(parts, requests: requests).run()
        }
        threads.withLock { threads in
            threads.highest = state.ceiling
            threads.delayed = state.delayed
            threads.running = [reading, committing]
        }
    }

    /// Tells senders from now on, also what was not told before; called after ``start()``. Without it nobody is told,
    /// and what is to be told is kept.
    package func startNotices(_ settings: NoticeSettings) throws {
        let delayed = threads.withLock { $0.delayed }
        let notifier = Notifier(parts, settings, delayed: delayed)
        let thread = try OwnThread(name: "figaro-notice") { notifier.run() }
        self.notifier.withLock { $0 = notifier }
        threads.withLock { $0.running.insert(thread, at: 0) }
    }

    /// Tells senders in another way from now on; nothing where they are not told at all.
    package func replaceNotices(_ settings: NoticeSettings) {
        notifier.withLock { $0 }?.replace(settings)
    }

    /// nil where nobody is told of anything.
    var noticeSettings: NoticeSettings? { notifier.withLock { $0 }?.settings }

    /// Refuses new mail, writes what waits, and ends the threads. Blocks until it is done. What is settled after it is
    /// lost, so Delivery stops first.
    package func stop() {
        notifier.withLock { $0 }?.close()
        parts.inbox.close()
        requests.close()
        let running = threads.withLock { threads in
            defer { threads.running = [] }
            return threads.running
        }
        guard !running.isEmpty else { return }
        for thread in running { thread.join() }
        do {
            try parts.store.close()
        } catch {
            parts.logger.error("store not closed cleanly", metadata: ["error": "\(error)"])
        }
    }

    /// Whether new mail may come in; cheap enough for every MAIL command.
    package func admission() -> Admission { parts.inbox.admission() }

    /// Makes a message durable. The content file of a refused one is removed.
    ///
    /// - Parameter then: called exactly once, on the commit thread, after the fsync that covers the message (or its
    ///   failure); at once, on the caller's thread, where nothing more is taken. It must return quickly; an event loop
    ///   hops to itself there.
    package func commit(_ accepted: Accepted, then: @escaping @Sendable (CommitResult) -> Void) {
        guard let refusal = parts.inbox.add(accepted, then: then) else { return }
        if let name = accepted.message.fileName { parts.contents.remove([name]) }
        then(.refused("queue is \(refusal)"))
    }

    /// Takes back handed-out works with what came of them; never blocks. Durable within 50 ms, with the next commit.
    package func settle(_ settlements: [Settlement]) {
        parts.inbox.add(settlements)
    }

    /// Asks for up to `limit` due works of a domain that are not handed out; the dispatcher's `fetched` answers.
    package func fetch(domain: String, limit: Int) {
        requests.add(domain: domain, limit: limit)
    }

    /// A domain may not be sent to before then; until that time it is not named as due.
    package func postpone(domain: String, until: Timestamp) {
        parts.inbox.postpone(domain, until: until)
    }

    /// A page of what is in the queue; it may be shorter than asked for, or empty, and have others after it. Blocks:
    /// not for an event loop or the cooperative pool.
    package func list(_ filter: QueueFilter) throws -> QueuePage {
        var page = try parts.store.entries(filter)
        for index in page.entries.indices { annotate(&page.entries[index]) }
        page.entries.removeAll { entry in
            // One whose sender is still to be told has nothing that waits.
            if entry.works.isEmpty { return filter.looksAtParts }
            return !entry.works.contains { filter.admits($0) { self.site(of: $0)?.name } }
        }
        return page
    }

    private func annotate(_ entry: inout QueueEntry) {
        for index in entry.works.indices {
            parts.shared.annotate(&entry.works[index], of: entry.message.id, at: parts.time.now())
        }
    }

    /// What Delivery knows of the receiver of a domain's mail.
    package func site(of domain: String) -> SiteNote? { parts.shared.dispatcher?.site(of: domain) }

    /// One message; nil when it is not in the queue. Blocks as ``list(_:)`` does.
    package func show(_ id: MessageID) throws -> QueueEntry? {
        guard var entry = try parts.store.entry(id) else { return nil }
        annotate(&entry)
        return entry
    }

    /// What committing has cost since the start.
    package var commitFigures: CommitFigures.Snapshot { parts.figures.snapshot }

    /// Blocks as ``list(_:)`` does.
    package func counts() throws -> QueueCounts {
        let before = parts.shared.handedOut
        var counts = try parts.store.counts()
        // Two looks, since works come and go meanwhile: what is there in both is with Delivery for sure.
        counts.waiting = max(0, counts.works - counts.held - min(before, parts.shared.handedOut))
        return counts
    }
}

extension MailQueue {
    /// What both threads know.
    final class Shared: Sendable {
        private let ledger = Mutex(Ledger())
        private let receiver = Mutex<(any Dispatcher)?>(nil)
        /// Rung when there is something to be told.
        let untold = Bell()

        var dispatcher: (any Dispatcher)? { receiver.withLock { $0 } }

        func attach(_ dispatcher: any Dispatcher) { receiver.withLock { $0 = dispatcher } }

        var handedOut: Int { ledger.withLock { $0.handedOut } }

        func claim(_ keys: [WorkKey]) {
            ledger.withLock { ledger in for key in keys { ledger.claim(key) } }
        }

        /// Called after the rows were written. A move that the agenda is about to make may have been reckoned without
        /// them: see ``Inbox/reach(_:due:)``.
        func release(_ releases: [Cycle.Release], inbox: Inbox) {
            ledger.withLock { ledger in
                for release in releases {
                    if release.wasTaken {
                        ledger.release(release.key, to: release.place)
                    } else if let place = release.place {
                        ledger.reach(release.key.domain, place)
                    }
                }
            }
            for release in releases {
                if let place = release.place { inbox.reach(release.key.domain, due: place.position.due) }
            }
        }

        /// Keeps works from being handed out while their rows are changed. Returns those that it was too late for.
        func seize(_ keys: [WorkKey]) -> [WorkKey: Ledger.Hindrance] {
            ledger.withLock { ledger in
                var hindered: [WorkKey: Ledger.Hindrance] = [:]
                for key in keys { hindered[key] = ledger.seize(key) }
                return hindered
            }
        }

        func beginPage(_ domain: String) -> Ledger.Reading { ledger.withLock { $0.beginPage(domain) } }

        func free(_ positions: [Position], of domain: String) -> [Position] {
            ledger.withLock { $0.free(positions, of: domain) }
        }

        func endPage(_ domain: String, handedOut: [MessageID], reading: Ledger.Reading?) -> Timestamp? {
            ledger.withLock { $0.endPage(domain, handedOut: handedOut, reading: reading) }
        }

        /// Tells the state of what waits.
        func annotate(_ part: inout QueueEntry.Part, of message: MessageID, at now: Timestamp) {
            let key = WorkKey(message: message, domain: part.domain)
            if ledger.withLock({ $0.isHandedOut(key) }) {
                part.state = .handedOut
            } else if part.hold != nil {
                part.state = .held
            } else if part.state == .waiting, part.progress.due <= now {
                part.state = .due
            }
        }
    }
}
