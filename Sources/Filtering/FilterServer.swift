package import Logging
import Mail
package import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A filter node: serves the checks of a ``Filter`` in rspamd's protocol, so that it can stand before anything that
/// speaks to rspamd.
package final class FilterServer: Sendable {
    /// Clients at a time.
    private static let connections = 1_000
    /// Octets of requests that are being read.
    private static let memory = 512 << 20

    private let group: any EventLoopGroup
    private let logger: Logger
    private let current: Mutex<Filter>
    private let listening = Mutex<[any Channel]>([])
    private let clients = Atomic<Int>(0)
    private let held = Atomic<Int>(0)
    let started = NIODeadline.now()

    private struct Crowded: Error {}

    package init(filter: Filter, group: any EventLoopGroup, logger: Logger) {
        current = Mutex(filter)
        self.group = group
        self.logger = logger
    }

    var filter: Filter { current.withLock { $0 } }

    /// Goes on with other settings; listeners stay as they are.
    package func replace(_ filter: Filter) { current.withLock { $0 = filter } }

    /// Takes the ports and serves from now on.
    ///
    /// - Returns: the ports, in the order of the listeners.
    /// - Throws: what the system says about an address, after which nothing is bound.
    @discardableResult
    package func bind() async throws -> [Int] {
        var channels: [any Channel] = []
        do {
            for listener in filter.configuration.listeners { channels.append(try await bind(listener)) }
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
        listening.withLock { $0 = channels }
        return channels.map { $0.localAddress?.port ?? 0 }
    }

    private func bind(_ listener: FilterListener) async throws -> any Channel {
        do {
            return try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.backlog, value: 1_024)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try self.admit(channel) }
                }
                .bind(host: listener.address.description, port: listener.port).get()
        } catch {
            throw Unbound(listener: listener, reason: "\(error)")
        }
    }

    private struct Unbound: Error, CustomStringConvertible {
        var listener: FilterListener
        var reason: String

        var description: String {
            "filter: cannot listen on \(listener.address) port \(listener.port): \(reason)"
        }
    }

    private func admit(_ channel: any Channel) throws {
        guard clients.add(1, ordering: .relaxed).newValue <= Self.connections else {
            clients.subtract(1, ordering: .relaxed)
            throw Crowded()
        }
        channel.closeFuture.whenComplete { _ in self.clients.subtract(1, ordering: .relaxed) }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        try pipeline.addHandler(FilterHandler(server: self))
    }

    /// - Returns: false when too much is being read already.
    func hold(_ octets: Int) -> Bool {
        guard held.add(octets, ordering: .relaxed).newValue <= Self.memory else {
            held.subtract(octets, ordering: .relaxed)
            return false
        }
        return true
    }

    func letGo(_ octets: Int) { held.subtract(octets, ordering: .relaxed) }

    func note(_ question: Question, _ joined: Joined) {
        let said: String
        switch joined.result {
        case .unavailable(let reason): said = "unavailable: \(reason)"
        case .tooLarge: said = "too large"
        case .verdict(let verdict): said = verdict.virus.map { "virus \($0)" } ?? verdict.action.rawValue
        }
        logger.info(
            "checked",
            metadata: [
                "message": "\(question.queueID ?? "")", "user": "\(question.user ?? "")",
                "size": "\(question.content.readableBytes)", "verdict": "\(said)",
            ])
    }

    package func stop() async {
        let channels = listening.withLock { listening in
            defer { listening = [] }
            return listening
        }
        for channel in channels { try? await channel.close() }
    }
}
