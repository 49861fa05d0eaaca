import Glibc
package import Logging
import Mail
package import NIOCore
import NIOPosix
package import Queue
import SMTP
import Synchronization

/// Opens sessions over TCP, each from the source of its plan, spread over the group's loops in turn.
package final class NIOSessionOpener: SessionOpener {
    private let loops: [SessionLoop]
    private let turn = Atomic<Int>(0)
    private let configuration: SessionConfiguration
    private let reach: Reach
    private let contentFiles: any ContentFiles
    private let logger: Logger
    private let unverified: ClientTLS
    private let verified: ClientTLS

    /// Reads the system's roots of trust; throws when TLS cannot be set up with them.
    package init(
        group: any EventLoopGroup, configuration: SessionConfiguration, reach: Reach, contentFiles: any ContentFiles,
        logger: Logger
    ) throws {
        let shortest = configuration.deadlines.shortest
        self.loops = group.makeIterator().map { SessionLoop(loop: $0, shortest: shortest) }
        self.configuration = configuration
        self.reach = reach
        self.contentFiles = contentFiles
        self.logger = logger
        self.unverified = try .unverified()
        self.verified = try .verified(by: configuration.roots)
    }

    package func open(_ plan: SessionPlan, for owner: any SessionOwner) {
        let count = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        let home = loops[Int(UInt(bitPattern: count) % UInt(loops.count))]
        home.loop.execute {
            let session = NIOSession(id: plan.id, home: home, owner: owner, contentFiles: self.contentFiles)
            self.connect(session, plan, home)
        }
    }

    private func connect(_ session: NIOSession, _ plan: SessionPlan, _ home: SessionLoop) {
        guard let port = UInt16(exactly: plan.port), port > 0 else {
            return session.failed(.trouble(.local, "\(plan.port) is no port"))
        }
        // Asked about what the system will be told, at the moment when it is told.
        guard let target = SocketAddress(plan.address, port: port), let (address, port) = target.internet else {
            return session.failed(.trouble(.local, "\(plan.address) is no address"))
        }
        if let why = reach.forbids(address, port: port) {
            logger.warning("connection forbidden", metadata: ["host": "\(plan.host)", "why": "\(why)"])
            return session.failed(.trouble(.forbidden, why))
        }
        let source: SocketAddress?
        if plan.source.isSystemsChoice {
            source = nil
        } else if plan.source.address.isIPv4 == address.isIPv4, let bound = SocketAddress(plan.source.address, port: 0)
        {
            source = bound
        } else {
            return session.failed(.trouble(.local, "source \(plan.source.address) cannot reach \(address)"))
        }
        let handler = ClientHandler(
            hello: plan.source.ehlo, host: plan.host, security: security(plan.tls), login: plan.login,
            deadlines: configuration.deadlines,
            delegate: session)
        session.handler = handler
        home.add(session)
        bootstrap(session, handler, home, source: source)
            .connect(to: target)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    channel.closeFuture.whenComplete { _ in session.ended() }
                case .failure(let error):
                    session.failed(self.answer(error, session, plan))
                    session.ended()
                }
            }
    }

    private func bootstrap(
        _ session: NIOSession, _ handler: ClientHandler, _ home: SessionLoop, source: SocketAddress?
    ) -> ClientBootstrap {
        // TCP_NODELAY is NIO's own default.
        let bootstrap = ClientBootstrap(group: home.loop)
            .connectTimeout(configuration.connect)
            .channelInitializer { channel in
                // Called after options and bind.
                session.bound = true
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        guard let source else { return bootstrap }
        return bootstrap.channelOption(Self.bindAddressNoPort, value: 1).bind(to: source)
    }

    /// IP_BIND_ADDRESS_NO_PORT of `linux/in.h`, which IPv6 sockets take too: the port is chosen when the host is known,
    /// so that each pair of source and host has all ports for itself.
    private static let bindAddressNoPort = ChannelOptions.Types.SocketOption(
        level: NIOBSDSocket.OptionLevel(rawValue: CInt(IPPROTO_IP)), name: NIOBSDSocket.Option(rawValue: 24))

    private func security(_ need: TLSNeed) -> ClientTLS {
        switch need {
        case .none: .never
        case .opportunistic: unverified
        case .required: verified
        case .implicit: verified.fromTheStart
        }
    }

    private func answer(_ error: any Error, _ session: NIOSession, _ plan: SessionPlan) -> Answer {
        let text = ConnectionTrouble.text(error)
        guard session.bound else {
            logger.error(
                "source cannot be used",
                metadata: ["source": "\(plan.source.name)", "address": "\(plan.source.address)", "error": "\(text)"])
            return .trouble(.local, "cannot send from \(plan.source.address): \(text)")
        }
        if case .connectTimeout? = error as? ChannelError {
            return .trouble(.timeout, "connection timed out")
        }
        switch (error as? IOError)?.errnoCode {
        case ETIMEDOUT: return .trouble(.timeout, text)
        // No free port, no descriptor, no memory, a firewall of our own.
        case EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EPERM: return .trouble(.local, text)
        default: return .trouble(.connection, text)
        }
    }
}
