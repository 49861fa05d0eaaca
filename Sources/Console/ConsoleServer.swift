package import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Answers whoever watches the relay: `/metrics`, `/health` and `/ready`, over HTTP/1.1 on a listener of its own.
///
/// It reads and changes nothing but what ``Answers`` tells; requests are few and small, so every connection answers one
/// and is closed.
package final class ConsoleServer: Sendable {
    /// What the pages say. Each may block: it is asked on a thread of its own.
    package struct Answers: Sendable {
        package var metrics: @Sendable () -> String
        /// nil while the process does what it should, else what is wrong.
        package var trouble: @Sendable () -> String?
        /// nil when mail is taken at this moment, else why it is not.
        package var refusal: @Sendable () -> String?

        package init(
            metrics: @escaping @Sendable () -> String, trouble: @escaping @Sendable () -> String?,
            refusal: @escaping @Sendable () -> String?
        ) {
            self.metrics = metrics
            self.trouble = trouble
            self.refusal = refusal
        }
    }

    /// More than any number of watchers needs, and less than would hurt.
    static let connections = 32

    /// Ends a connection above that number.
    private struct Crowded: Error {}

    private let address: String
    private let port: Int
    private let group: any EventLoopGroup
    private let desk: Desk
    private let listening = Mutex<(any Channel)?>(nil)

    /// - Parameter run: runs a blocking body apart from event loops and the cooperative pool.
    package init(
        address: String, port: Int, group: any EventLoopGroup, answers: Answers,
        run: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.address = address
        self.port = port
        self.group = group
        desk = Desk(answers: answers, run: run)
    }

    /// Takes the port and answers from now on.
    ///
    /// - Returns: the port, also where 0 asked for any.
    /// - Throws: what the system says about the address.
    @discardableResult
    package func bind() async throws -> Int {
        let desk = desk
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard desk.enter() else { throw Crowded() }
                    channel.closeFuture.whenComplete { _ in desk.leave() }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(ConsoleHandler(desk: desk))
                }
            }
            .bind(host: address, port: port).get()
        listening.withLock { $0 = channel }
        return channel.localAddress?.port ?? 0
    }

    package func stop() async {
        let channel = listening.withLock { listening in
            defer { listening = nil }
            return listening
        }
        try? await channel?.close()
    }
}

/// Which page a path is, and what it says.
struct Desk: Sendable {
    struct Page: Sendable {
        var status: HTTPResponseStatus
        var type = "text/plain; charset=utf-8"
        var body: String
    }

    let answers: ConsoleServer.Answers
    let run: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let connected = Counter()

    init(answers: ConsoleServer.Answers, run: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) {
        self.answers = answers
        self.run = run
    }

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    /// - Returns: false when there are connections enough.
    func enter() -> Bool {
        guard connected.value.add(1, ordering: .relaxed).newValue <= ConsoleServer.connections else {
            leave()
            return false
        }
        return true
    }

    func leave() {
        connected.value.subtract(1, ordering: .relaxed)
    }

    func page(_ method: HTTPMethod, _ target: String) -> Page {
        guard method == .GET || method == .HEAD else { return Page(status: .methodNotAllowed, body: "GET only\n") }
        switch target.prefix(while: { $0 != "?" }) {
        case "/metrics":
            return Page(status: .ok, type: "text/plain; version=0.0.4; charset=utf-8", body: answers.metrics())
        case "/health": return state(answers.trouble())
        case "/ready": return state(answers.refusal())
        default: return Page(status: .notFound, body: "/metrics, /health, /ready\n")
        }
    }

    private func state(_ wrong: String?) -> Page {
        if let wrong { return Page(status: .serviceUnavailable, body: wrong + "\n") }
        return Page(status: .ok, body: "ok\n")
    }
}
