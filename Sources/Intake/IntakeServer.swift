package import Filtering
import Glibc
package import Logging
package import Mail
package import NIOCore
import NIOPosix
package import Queue
import SMTP
import Synchronization

/// Receives mail from customers: listens, talks SMTP, commits, and only then says 250.
///
/// ``bind(accepting:)`` takes the ports; sessions live on the event loops of the group they were given, each in one
/// ``SMTP/ServerHandler``; ``shutdown(grace:)`` ends them.
package final class IntakeServer: Sendable {
    private let generation: Mutex<Generation>
    private let sessions: SessionTable
    private let group: any EventLoopGroup
    private let listening = Mutex<[any Channel]>([])

    /// - Throws: ``IntakeError`` when certificates cannot be loaded, or are missing where a listener has TLS.
    package init(
        configuration: Configuration, queue: any AcceptedMail, contentFiles: any ContentFiles,
        ids: MessageID.Generator, time: any TimeSource, group: any EventLoopGroup, logger: Logger,
        filter: Filter? = nil, nameFinder: ClientNameFinder? = nil
    ) throws {
        let sessions = SessionTable(
            limit: configuration.limits.connections, limitPerClient: configuration.limits.connectionsPerClient)
        self.sessions = sessions
        let log = RefusalLog(logger: logger)
        let services = Services(
            configuration: configuration, customers: CurrentCustomers(declared: configuration.customers),
            logins: LoginDesk(log: log), tallies: CustomerTallies(), recipients: KnownRecipients(), queue: queue,
            contentFiles: contentFiles, ids: ids, time: time, log: log, sessions: sessions, filter: filter,
            nameFinder: nameFinder)
        self.group = group
        generation = Mutex(try Generation(services, group: group))
    }

    /// Takes all addresses and ports; privileges may be dropped after it.
    ///
    /// - Parameter accepting: false leaves clients waiting until ``start()``.
    /// - Returns: the ports, in the order of the listeners.
    /// - Throws: ``IntakeError``, after which nothing is bound.
    @discardableResult
    package func bind(accepting: Bool = true) async throws -> [Int] {
        var channels: [any Channel] = []
        do {
            for listener in generation.withLock({ $0 }).services.configuration.listeners {
                channels.append(try await bind(listener, accepting))
            }
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
        listening.withLock { $0 = channels }
        return channels.map { $0.localAddress?.port ?? 0 }
    }

    /// Begins to accept after `bind(accepting: false)`.
    package func start() {
        for channel in listening.withLock({ $0 }) {
            channel.setOption(.autoRead, value: true).whenSuccess { channel.read() }
        }
    }

    /// Goes on with other settings, certificates among them, for the sessions that begin from now on; listeners stay as
    /// they are.
    ///
    /// - Throws: ``IntakeError``, and then nothing has changed.
    package func replace(_ configuration: Configuration, filter: Filter? = nil) throws {
        let old = generation.withLock { $0 }.services
        var configuration = configuration
        configuration.listeners = old.configuration.listeners
        let new = try Generation(old.with(configuration, filter), group: group)
        old.customers.replace(declared: configuration.customers)
        sessions.limit(to: configuration.limits.connections, perClient: configuration.limits.connectionsPerClient)
        generation.withLock { $0 = new }
    }

    /// Goes on with other customers beside those of the configuration; a session of one whose login is gone ends with
    /// its next message.
    package func replaceKept(_ customers: [Customer]) {
        generation.withLock { $0 }.services.customers.replace(kept: customers)
    }

    /// Who is told when a customer is held; nil where nobody is known.
    package func administrator(of customer: String) -> Address? {
        generation.withLock { $0 }.services.customers.directory.customer(named: customer)?.administrator
    }

    /// Goes on with what customers have used of their limits, and whom they have written to, as of an earlier run.
    ///
    /// - Parameter key: of the digests of `recipients`.
    package func resume(counts: [String: String], recipients: [KnownRecipient], key: [UInt8]) {
        let services = generation.withLock { $0 }.services
        for (name, text) in counts { services.tallies.tally(of: name).resume(text) }
        services.recipients.load(recipients, key: key)
    }

    /// Goes on with addresses that accounts have logged in from, as of an earlier run: nobody's guesses keep them out.
    package func welcome(_ friends: [KnownLogin]) { generation.withLock { $0 }.services.logins.welcome(friends) }

    /// Such addresses since this was asked last.
    package func takeFriends() -> [KnownLogin] { generation.withLock { $0 }.services.logins.takeFriends() }

    /// What customers have used of their limits, of those for whom it has changed since this was asked last.
    package func takeCounts() -> [String: String] {
        generation.withLock { $0 }.services.tallies.all.compactMapValues { $0.takeText() }
    }

    /// Whom customers have written to, as far as it has changed since this was asked last.
    package func takeRecipients() -> [KnownRecipient] {
        generation.withLock { $0 }.services.recipients.takeChanges()
    }

    /// What a customer has used of its limits at this moment.
    package func used(by customer: String) -> CustomerLimits {
        let services = generation.withLock { $0 }.services
        return services.tallies.known(customer)?.used(at: services.time.now()) ?? CustomerLimits()
    }

    /// What each customer usually sends, for the next run.
    package var habits: [String: Habit] {
        generation.withLock { $0 }.services.tallies.all.mapValues(\.habit).filter { !$0.value.text.isEmpty }
    }

    /// - Parameters:
    ///   - habits: of an earlier run.
    ///   - onBurst: called with a customer who sends far more than ever, and why one thinks so; returns at once.
    package func watchHabits(_ habits: [String: Habit], onBurst: @escaping @Sendable (String, String) -> Void) {
        let tallies = generation.withLock { $0 }.services.tallies
        for (name, habit) in habits { tallies.tally(of: name).habit = habit }
        tallies.tellBursts { name, burst in
            onBurst(
                name,
                "\(burst.count) recipients in one hour, where the busiest hour of its last days had \(burst.usual)")
        }
    }

    /// What receivers have said of a customer's recipients since the start: how many they took, and do not know. Asked
    /// of those who have a limit for it.
    package func note(taken: Int, unknown: Int, of customer: String) {
        let services = generation.withLock { $0 }.services
        guard services.customers.directory.customer(named: customer)?.limits.badShare != nil else { return }
        services.tallies.tally(of: customer).note(
            CustomerTally.Answers(taken: taken, unknown: unknown), at: services.time.now())
    }

    /// Customers' sessions at this moment.
    package var sessionCount: Int { sessions.count }

    /// Ends all sessions: idle ones at once, those inside a message within `grace`. Returns when all are gone.
    package func shutdown(grace: TimeAmount) async {
        let listeners = listening.withLock { listening in
            defer { listening = [] }
            return listening
        }
        for listener in listeners { try? await listener.close() }
        let loop = group.next()
        let empty = loop.makePromise(of: Void.self)
        sessions.close(empty)
        tell(.shutDown)
        let cutOff = loop.scheduleTask(in: grace) { self.tell(.cutOff) }
        // After its last words a session has its linger time of 2 s to go.
        let force = loop.scheduleTask(in: grace + .seconds(3)) {
            for channel in self.sessions.channels { channel.close(promise: nil) }
        }
        try? await empty.futureResult.get()
        cutOff.cancel()
        force.cancel()
    }

    private func tell(_ event: ServerEvent) {
        for channel in sessions.channels { channel.pipeline.fireUserInboundEventTriggered(event) }
    }
}

// MARK: listening

extension IntakeServer {
    private func bind(_ listener: Listener, _ accepting: Bool) async throws(IntakeError) -> any Channel {
        let log = generation.withLock { $0 }.services.log
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: accepting)
            .serverChannelOption(.maxMessagesPerRead, value: 16)
            // Linux hands it on to every connection, which saves a system call for each.
            .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPause(log: log))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.welcome(channel, listener) }
            }
        if !listener.address.isIPv4 {
            // IPv4 has listeners of its own; the wildcards of both must be able to stand side by side.
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 1)
        }
        do {
            return try await bootstrap.bind(host: listener.address.description, port: listener.port).get()
        } catch let error as IOError {
            throw .cannotBind(
                address: "\(listener.address)", port: listener.port, reason: String(cString: strerror(error.errnoCode)))
        } catch {
            throw .cannotBind(address: "\(listener.address)", port: listener.port, reason: "\(error)")
        }
    }

    /// Waits for a load balancer to say whose connection it is, where it is one; runs on its event loop.
    private func welcome(_ channel: any Channel, _ listener: Listener) throws {
        guard !listener.proxies.isEmpty, let peer = channel.remoteAddress?.client,
            listener.proxies.contains(where: { $0.contains(peer) })
        else { return try admit(channel, listener, nil) }
        try channel.pipeline.syncOperations.addHandler(
            ProxyHandler { channel, client in try self.admit(channel, listener, client) })
    }

    /// Gives a new connection its session; runs on its event loop.
    ///
    /// - Parameter proxied: the client, where a load balancer has said so.
    private func admit(_ channel: any Channel, _ listener: Listener, _ proxied: IPAddress?) throws {
        let mode = listener.tls
        let generation = generation.withLock { $0 }
        let (services, certificates) = (generation.services, generation.certificates)
        let pipeline = channel.pipeline.syncOperations
        guard let client = proxied ?? channel.remoteAddress?.client else {
            // It has gone already.
            return try pipeline.addHandler(LastWords(nil))
        }
        // Set here, at once: as options of the bootstrap each would take a future and its callbacks.
        let readSize = ServerReadSize()
        let options = channel.syncOptions
        // A client that has said all it has to say still gets its answer.
        try options?.setOption(.allowRemoteHalfClosure, value: true)
        try options?.setOption(.recvAllocator, value: readSize)
        if let refusal = sessions.enter(channel, client: client) {
            services.log.refused(refusal, client: client, customer: nil)
            return try pipeline.addHandler(LastWords(mode == .implicit ? nil : refusal))
        }
        do {
            let reception = Reception(
                services: services, client: client, namers: listener.namers, loop: channel.eventLoop)
            if mode == .implicit, let certificates {
                try pipeline.addHandler(certificates.makeHandler(asksClient: reception.wantsCertificate))
            }
            try pipeline.addHandler(
                ServerHandler(
                    settings: generation.settings(mode), policy: reception.policy, receiver: reception,
                    certificates: certificates, watch: generation.watch(of: channel.eventLoop), readSize: readSize))
        } catch {
            sessions.remove(channel, client: client)
            throw error
        }
    }
}

extension SocketAddress {
    /// nil for what is no address of the internet.
    fileprivate var client: IPAddress? {
        switch self {
        case .v4(let four): withUnsafeBytes(of: four.address) { IPAddress(sockaddr4: $0) }
        case .v6(let six): withUnsafeBytes(of: six.address) { IPAddress(sockaddr6: $0) }
        case .unixDomainSocket: nil
        }
    }
}
