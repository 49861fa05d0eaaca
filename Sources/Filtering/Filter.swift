package import Logging
package import NIOCore
import NIOHTTP1
import Synchronization

/// Checks messages: asks rspamd and clamd at the same time and joins what they say into one verdict.
///
/// No call blocks. Every check ends by its deadline, and whatever did not answer by then has not passed the message.
package final class Filter: Sendable {
    /// Octets of messages that may be with the filters at a time; more wait with their senders.
    private static let memory = 512 << 20
    /// Checks at a time.
    private static let most = 2_000
    private static let pingEvery = TimeAmount.seconds(1)
    private static let pingTime = TimeAmount.seconds(2)

    package let configuration: Configuration
    private let rspamd: NodePool<RspamdAnswer>
    private let clamd: NodePool<ClamdAnswer>
    private let candour: ClamdCandour
    private let https: [HTTPNode]
    private let busy = Mutex(Busy())
    private let pings = Mutex<RepeatedTask?>(nil)
    let log: Logger

    private struct Busy {
        var checks = 0
        var octets = 0
        var figures = FilterFigures()
    }

    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        log = logger
        let https = configuration.nodes.map { HTTPNode(place: $0) }
        self.https = https
        let limit = Double(configuration.scanTimeout.nanoseconds) / 1e9
        rspamd = NodePool(names: configuration.nodes.map(\.description)) { node, question, loop, deadline in
            let head = RspamdRequest.head(question, host: https[node].place.description)
            return https[node].ask(head, question.content, on: loop, by: deadline).flatMapThrowing { answer in
                try RspamdAnswer.read(
                    status: answer.head.status, headers: answer.head.headers, body: answer.body, limit: limit)
            }
        }
        let places = configuration.clamd
        let candour = ClamdCandour(places, logger: logger)
        self.candour = candour
        clamd = NodePool(names: places.map(\.description)) { node, question, loop, deadline in
            // What was found is found whatever its settings are.
            ClamdScan.run(question.content, at: places[node], on: loop, by: deadline).flatMap { answer in
                guard answer == .clean else { return loop.makeSucceededFuture(answer) }
                return candour.confirm(node, on: loop, by: deadline).map { answer }
            }
        }
    }

    /// Looks after the health of the nodes from now on.
    package func start(on loop: any EventLoop) {
        pings.withLock { pings in
            guard pings == nil else { return }
            pings = loop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.pingEvery) { [weak self] _ in
                self?.ping(on: loop)
            }
        }
    }

    package func stop() {
        pings.withLock { pings in
            pings?.cancel()
            pings = nil
        }
        for node in https { node.stop() }
    }

    private func ping(on loop: any EventLoop) {
        let deadline = NIODeadline.now() + Self.pingTime
        for (index, node) in https.enumerated() {
            let head = HTTPRequestHead(
                version: .http1_1, method: .GET, uri: "/ping", headers: ["host": node.place.description])
            node.ask(head, nil, on: loop, by: deadline).assumeIsolated().whenComplete { [rspamd] result in
                let answer = try? result.get()
                let isAlive = answer?.head.status == .ok && answer.map { String(buffer: $0.body) }?.first == "p"
                rspamd.pinged(index, isAlive: isAlive)
            }
        }
        for (index, place) in configuration.clamd.enumerated() {
            ClamdPing.run(at: place, on: loop, by: deadline).assumeIsolated().whenComplete { [clamd, candour] result in
                let isAlive = (try? result.get()) != nil
                if !isAlive { candour.forget(index) }
                clamd.pinged(index, isAlive: isAlive)
            }
        }
    }

    // MARK: checking

    /// The future, on this loop, which is the caller's, never fails.
    package func check(_ question: Question, on loop: any EventLoop) -> EventLoopFuture<CheckResult> {
        checked(question, on: loop).map(\.result)
    }

    func checked(_ question: Question, on loop: any EventLoop) -> EventLoopFuture<Joined> {
        let octets = question.content.readableBytes
        guard octets <= configuration.maxSize else {
            note(.tooLarge, since: .now())
            return loop.makeSucceededFuture(Joined(result: .tooLarge))
        }
        guard enter(octets) else {
            note(.unavailable(""), since: .now())
            return loop.makeSucceededFuture(Joined(result: .unavailable("too much is being checked already")))
        }
        let began = NIODeadline.now()
        let deadline = began + configuration.deadline
        let score = part(rspamd, question, loop, deadline)
        let scan = part(clamd, question, loop, deadline)
        return score.and(scan).map { [self] score, scan in
            leave(octets)
            let joined = Joined(score: score, scan: scan)
            note(joined.result, since: began)
            return joined
        }
    }

    private func part<Answer>(
        _ pool: NodePool<Answer>, _ question: Question, _ loop: any EventLoop, _ deadline: NIODeadline
    ) -> EventLoopFuture<Result<Answer, NodeFailure>?> {
        guard !pool.names.isEmpty else { return loop.makeSucceededFuture(nil) }
        return pool.check(question, on: loop, by: deadline).map { .some(.success($0)) }
            .flatMapErrorThrowing { .some(.failure($0 as? NodeFailure ?? NodeFailure("\($0)"))) }
    }

    /// Takes room for a message that is to be read for a check; false where there is none.
    package func reserve(_ octets: Int) -> Bool { enter(octets) }

    package func release(_ octets: Int) { leave(octets) }

    private func enter(_ octets: Int) -> Bool {
        busy.withLock { busy in
            let isRoom = busy.checks < Self.most && (busy.checks == 0 || busy.octets + octets <= Self.memory)
            if isRoom {
                busy.checks += 1
                busy.octets += octets
            }
            return isRoom
        }
    }

    private func leave(_ octets: Int) {
        busy.withLock { busy in
            busy.checks -= 1
            busy.octets -= octets
        }
    }

    /// What came of a message that no filter was asked about, counted as a check.
    package func unasked(_ result: CheckResult) -> CheckResult {
        note(result, since: .now())
        return result
    }

    private func note(_ result: CheckResult, since began: NIODeadline) {
        let time = NIODeadline.now() - began
        busy.withLock { $0.figures.add(result, after: time) }
    }

    /// What was checked since the start.
    package var figures: FilterFigures {
        var figures = busy.withLock { $0.figures }
        let now = NIODeadline.now()
        let (scores, scans) = (rspamd.figures, clamd.figures)
        figures.nodes = zip(rspamd.names, scores.nodes).map {
            FilterFigures.Node(name: $0, isScanner: false, node: $1, now: now)
        }
        figures.nodes += zip(clamd.names, scans.nodes).map {
            FilterFigures.Node(name: $0, isScanner: true, node: $1, now: now)
        }
        figures.hedges = scores.hedges + scans.hedges
        return figures
    }
}

/// Both answers as one.
struct Joined: Sendable {
    var result: CheckResult
    /// rspamd's answer, with what clamd found; nil where there is none.
    var json: ByteBuffer?

    init(result: CheckResult) {
        self.result = result
    }

    /// A virus beats everything, a rejection needs no second opinion, and nothing else stands unless both have spoken.
    init(score: Result<RspamdAnswer, NodeFailure>?, scan: Result<ClamdAnswer, NodeFailure>?) {
        var answer = try? score?.get()
        if case .success(.virus(let name)) = scan {
            var verdict = answer?.verdict ?? Verdict(action: .reject, score: 0, required: 0)
            verdict.virus = name
            verdict.action = .reject
            verdict.smtpMessage = nil
            verdict.symbols.insert(
                Verdict.Symbol(name: FilterNode.virusSymbol, score: 0, options: [name]), at: 0)
            json = FilterNode.marked(answer?.json ?? FilterNode.bare, virus: name)
            result = .verdict(verdict)
            return
        }
        if let verdict = answer?.verdict, verdict.virus != nil || verdict.action == .reject {
            answer?.verdict.action = .reject
            json = answer?.json
            result = .verdict(answer?.verdict ?? verdict)
            return
        }
        if case .failure(let failure) = scan, failure.isTooLarge {
            result = .tooLarge
        } else if case .failure(let failure) = score, failure.isTooLarge {
            result = .tooLarge
        } else if case .failure(let failure) = score {
            result = .unavailable(failure.reason)
        } else if case .failure(let failure) = scan {
            result = .unavailable(failure.reason)
        } else {
            json = answer?.json ?? FilterNode.bare
            result = .verdict(answer?.verdict ?? Verdict(action: .noAction, score: 0, required: 0))
        }
    }
}
