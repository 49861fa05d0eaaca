import NIOCore
import Synchronization

/// Nodes that do the same work: each check goes to one of them, to another when that fails, all within one deadline.
final class NodePool<Answer: Sendable>: Sendable {
    /// Asks one node; the future fails at the deadline at the latest.
    typealias Ask =
        @Sendable (
            _ node: Int, _ question: Question, _ loop: any EventLoop, _ deadline: NIODeadline
        ) -> EventLoopFuture<Answer>

    let names: [String]
    private let balance: Mutex<NodeBalance>
    private let ask: Ask

    init(names: [String], ask: @escaping Ask) {
        self.names = names
        self.ask = ask
        balance = Mutex(NodeBalance(count: names.count))
    }

    var figures: NodeBalance { balance.withLock { $0 } }

    func pinged(_ node: Int, isAlive: Bool) { balance.withLock { $0.pinged(node, isAlive: isAlive, at: .now()) } }

    /// The answer comes by the deadline, on this loop, which is the caller's.
    func check(
        _ question: Question, on loop: any EventLoop, by deadline: NIODeadline
    ) -> EventLoopFuture<Answer> {
        let race = Race(pool: self, question: question, loop: loop, deadline: deadline)
        race.start()
        return race.promise.futureResult
    }

    // MARK: one check

    /// Where one check stands; lives on its event loop.
    private final class Race {
        private let pool: NodePool
        private let question: Question
        private let loop: any EventLoop
        private let deadline: NIODeadline
        let promise: EventLoopPromise<Answer>

        private var asked: Set<Int> = []
        private var out = 0
        private var reasons: [String] = []
        private var isOver = false
        private var hedge: Scheduled<Void>?

        init(pool: NodePool, question: Question, loop: any EventLoop, deadline: NIODeadline) {
            self.pool = pool
            self.question = question
            self.loop = loop
            self.deadline = deadline
            promise = loop.makePromise(of: Answer.self)
        }

        func start() {
            launch()
            guard pool.names.count > 1, let usual = pool.balance.withLock({ $0.usualTime }) else { return }
            // What is quick anyway is not asked twice.
            let wait = max(usual, .milliseconds(20))
            hedge = loop.assumeIsolated().scheduleTask(in: wait) { self.askTwice() }
        }

        private func askTwice() {
            guard !isOver, out == 1, asked.count < pool.names.count else { return }
            if pool.balance.withLock({ $0.takeHedge() }) { launch() }
        }

        private func launch() {
            let now = NIODeadline.now()
            guard now < deadline else { return fail(NodeFailure("the deadline has passed")) }
            var random = SystemRandomNumberGenerator()
            let node = pool.balance.withLock { balance -> Int? in
                let node = balance.pick(without: asked, at: now, using: &random)
                if let node { balance.begin(node) }
                return node
            }
            guard let node else {
                if out == 0 { fail(NodeFailure(reasons.joined(separator: "; "))) }
                return
            }
            asked.insert(node)
            out += 1
            // A node that says nothing must leave another one the time to answer.
            let isLast = asked.count == pool.names.count
            let until = isLast ? deadline : now + .nanoseconds((deadline - now).nanoseconds / 2)
            pool.ask(node, question, loop, until).assumeIsolated().whenComplete { result in
                self.ended(node, result, since: now)
            }
        }

        private func ended(_ node: Int, _ result: Result<Answer, any Error>, since: NIODeadline) {
            out -= 1
            let now = NIODeadline.now()
            switch result {
            case .success(let answer):
                pool.balance.withLock { $0.answered(node, after: now - since) }
                guard !isOver else { return }
                end()
                promise.succeed(answer)
            case .failure(let error):
                let failure = error as? NodeFailure ?? NodeFailure("\(error)")
                if failure.isTooLarge {
                    pool.balance.withLock { $0.dropped(node) }
                    return fail(failure)
                }
                pool.balance.withLock { $0.failed(node, at: now, why: failure.reason) }
                if reasons.count < 4 { reasons.append("\(pool.names[node]) \(failure.reason)") }
                if !isOver, out == 0 { launch() }
            }
        }

        private func fail(_ failure: NodeFailure) {
            guard !isOver else { return }
            end()
            promise.fail(failure)
        }

        private func end() {
            isOver = true
            hedge?.cancel()
        }
    }
}
