import Console
import DNS
import Delivery
import Filtering
import Intake
import Logging
import Mail
import NIOCore
import NIOPosix
import Queue
import Storage

/// All parts of a running relay, made in the order in which they need one another.
struct Relay {
    let queue: MailQueue
    let history: History
    let contents: ContentFolder
    let unruled: UnruledReplies
    /// nil where there can be no such file.
    let paths: PathStore?
    let accounts: AccountBook
    let resolver: UnboundResolver
    let engine: DeliveryEngine
    let intake: IntakeServer
    let filters: FilterTier
    let control: ControlServer
    let reloader: Reloader
    let console: ConsoleServer?
    let group: MultiThreadedEventLoopGroup
    let logger: Logger

    /// Opens the store as the relay's user, takes ports and socket as whoever started it, then becomes the user for
    /// good.
    ///
    /// - Throws: errors whose description is for the operator.
    static func start(
        _ loaded: LoadedConfiguration, _ load: @escaping Reloader.Load, writer: LogWriter, logger: Logger
    ) async throws -> Relay {
        let node = loaded.node
        let privileges = try Privileges(user: node.user)
        if let notice = privileges.notice { logger.notice("\(notice)") }
        try PlaceChecks.run(node)
        try privileges.prepareSpool(node.spool)
        try privileges.assume()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let kept = try await OwnThread.run { try Kept(node, writer: writer) }
        let resolver = try UnboundResolver(node.resolver)
        let opener = try opener(node, kept.contents, group)
        let engine = DeliveryEngine(
            configuration: loaded.planner, map: loaded.ipmap.map, rules: loaded.rules, queue: kept.queue,
            resolver: resolver,
            opener: opener, trace: kept.trace, loop: group.next())
        if let paths = kept.paths {
            let keeper = PathMemoryKeeper(store: paths)
            engine.remember(keeper.rows(), with: keeper)
        }
        let book = try await OwnThread.run {
            try SteeringBook(
                file: SteeringFile(spool: node.spool), logger: Logger(label: "steering"), apply: engine.steer)
        }
        group.next().scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in book.noticeEnds() }
        let queue = kept.queue
        let warden = CustomerWarden(queue: queue, book: book, logger: Logger(label: "containment")) { name in
            engine.customers().first { $0.name == name }?.burns ?? [:]
        }
        engine.setHolder(warden.holdBurner)
        engine.start()
        try await OwnThread.run { try queue.start() }
        let ids = MessageID.Generator(after: queue.highestID)
        if let notices = loaded.noticeSettings(ids, group.next()) { try queue.startNotices(notices) }
        // At once what a crash left untold, and later what could not be told.
        group.next().scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(5)) { _ in warden.tellPostmaster() }
        try privileges.regain()
        let filters = FilterTier(node.filter, group: group, logger: Logger(label: "filter"))
        try await filters.bind()
        let intake = try IntakeServer(
            configuration: node.intake, queue: queue, contentFiles: kept.contents,
            ids: ids, time: SystemTime(), group: group,
            logger: Logger(label: "intake"), filter: filters.filter
        ) { resolver.name(of: $0, then: $1) }
        let accounts = try await openAccounts(kept.accounts, intake, engine, warden, group)
        try await intake.bind(accepting: false)
        let reloader = Reloader(
            loaded, load,
            Reloader.Parts(
                engine: engine, intake: intake, filters: filters, queue: queue, contents: kept.contents, ids: ids,
                group: group, accounts: accounts),
            logger: Logger(label: "reload"))
        reloader.takeUpAccounts()
        let page = MetricsPage(
            queue: queue, engine: engine, intake: intake, meter: kept.meter, syncs: kept.syncs,
            settings: reloader.settings, census: QueueCensus(queue), filters: filters)
        let desk = desk(
            kept, engine, Orders(book: book, warden: warden, accounts: accounts), reloader, page, writer)
        let console = try await console(node.metrics, page, group)
        let control = try ControlServer(
            path: node.control, owner: privileges.account, logger: Logger(label: "control"), answer: desk.answer)
        try privileges.drop()
        return Relay(
            queue: queue, history: kept.history, contents: kept.contents, unruled: kept.unruled, paths: kept.paths,
            accounts: accounts, resolver: resolver, engine: engine, intake: intake, filters: filters, control: control,
            reloader: reloader, console: console,
            group: group,
            logger: logger)
    }

    /// Who keeps what was ordered, and who carries out what is about customers.
    private struct Orders {
        let book: SteeringBook
        let warden: CustomerWarden
        let accounts: AccountBook
    }

    private static func desk(
        _ kept: Kept, _ engine: DeliveryEngine, _ orders: Orders, _ reloader: Reloader, _ page: MetricsPage,
        _ writer: LogWriter
    ) -> ControlDesk {
        let logger = Logger(label: "control")
        let explain = ExplainDesk(engine: engine, settings: reloader.settings, book: orders.accounts)
        return ControlDesk(
            queue: QueueDesk(
                queue: kept.queue, sources: { engine.sources(ofPool: $0) }, time: SystemTime(), logger: logger),
            trace: TraceDesk(history: kept.history, queue: kept.queue, engine: engine),
            support: SupportDesk(page: page, history: kept.history, writer: writer),
            replies: RepliesDesk(unruled: kept.unruled) { engine.rules },
            source: SourceDesk(engine: engine, book: orders.book, settings: reloader.settings, logger: logger),
            site: SiteDesk(engine: engine, book: orders.book, settings: reloader.settings, logger: logger),
            customer: CustomerDesk(
                engine: engine, warden: orders.warden, book: orders.accounts, settings: reloader.settings,
                used: page.intake.used),
            account: AccountDesk(book: orders.accounts, settings: reloader.settings, logger: logger),
            reload: ReloadDesk(reloader: reloader),
            explain: explain,
            message: MessageExplainDesk(
                queue: kept.queue, history: kept.history, engine: engine, explain: explain),
            top: TopDesk(page: page), filter: FilterDesk(filters: page.filters))
    }

    /// What opens sessions to receivers; reads the system's roots of trust.
    static func opener(
        _ node: NodeConfiguration, _ contents: ContentFolder, _ group: any EventLoopGroup
    ) throws -> NIOSessionOpener {
        try NIOSessionOpener(
            group: group, configuration: node.session, reach: reach(node), contentFiles: contents,
            logger: Logger(label: "delivery"))
    }

    /// Takes its port while whoever started us still may.
    private static func console(
        _ place: MetricsAddress?, _ page: MetricsPage, _ group: any EventLoopGroup
    ) async throws -> ConsoleServer? {
        guard let place else { return nil }
        let console = ConsoleServer(
            address: place.address.description, port: place.port, group: group,
            answers: ConsoleServer.Answers(metrics: page.text, trouble: page.trouble, refusal: page.refusal)
        ) { body in
            Task { await OwnThread.run(body) }
        }
        do {
            try await console.bind()
        } catch {
            throw MetricsUnbound(place: place, reason: "\(error)")
        }
        return console
    }

    private struct MetricsUnbound: Error, CustomStringConvertible {
        var place: MetricsAddress
        var reason: String

        var description: String { "metrics: cannot listen on \(place.address) port \(place.port): \(reason)" }
    }

    private static func reach(_ node: NodeConfiguration) -> Reach {
        Reach(
            allowed: node.allow,
            listeners: node.intake.listeners.map { Reach.Listener(address: $0.address, port: $0.port) },
            own: LocalAddresses.all())
    }

    /// What lies in the spool. Opening it blocks.
    private struct Kept: Sendable {
        let contents: ContentFolder
        let history: History
        let trace: any TraceSink
        let meter = Meter()
        let unruled: UnruledReplies
        let syncs: SyncFigures
        let queue: MailQueue
        let paths: PathStore?
        let accounts: AccountStore

        init(_ node: NodeConfiguration, writer: LogWriter) throws {
            let spool = try Spool(path: node.spool)
            let storage = Logger(label: "storage")
            syncs = spool.syncs
            contents = try ContentFolder(spool: spool, logger: storage)
            let store = SQLiteStore(spool: spool, logger: storage)
            // Until the store is open nothing can be told of what is in the queue, and nothing is forgotten.
            history = try History(spool: spool, logger: storage, configuration: node.history) {
                try? store.living($0)
            }
            paths = Self.paths(spool, storage)
            accounts = try AccountStore(spool: spool)
            unruled = UnruledReplies(folder: node.spool, logger: storage)
            trace =
                node.log.level.swiftLog <= .info
                ? TraceFanOut(sinks: [history, meter, unruled, EventLog(writer: writer)])
                : TraceFanOut(sinks: [history, meter, unruled])
            var configuration = MailQueue.Configuration()
            configuration.minimumDiskFree = Int64(node.minimumDiskFree)
            queue = MailQueue(
                store: store, contents: contents, trace: trace,
                logger: Logger(label: "queue"), configuration: configuration)
        }

        /// What was learned of receivers is worth much, and no mail depends on it.
        private static func paths(_ spool: Spool, _ logger: Logger) -> PathStore? {
            do {
                return try PathStore(spool: spool, logger: logger)
            } catch {
                logger.error("what is learned about receivers is lost with this run", metadata: ["error": "\(error)"])
                return nil
            }
        }
    }
}
