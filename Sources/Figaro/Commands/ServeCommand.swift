import ArgumentParser
import Delivery
import Dispatch
import Glibc
import Intake
import Logging
import Mail
import Queue
import Synchronization

/// `figaro serve`
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the relay, in the foreground.",
        discussion: """
            Without a configuration it takes mail of this machine on 127.0.0.1 port 2525 and delivers it from every \
            address the machine has. Its spool is then $FIGARO_HOME, or /var/lib/figaro for root, or \
            ~/.local/state/figaro.

            Started as root it binds its ports, then becomes the configured `user`. Started as that user it needs \
            CAP_NET_BIND_SERVICE for ports below 1024.

            Signals: SIGTERM and SIGINT end it in order; SIGHUP reloads as `figaro reload` does.

            Examples:
              figaro serve
              figaro serve --port 2626
              figaro serve --config /etc/figaro/relay.yaml

            Exit codes: 0 ended in order, 1 it could not start or had to end, 64 wrong usage, 78 the configuration is \
            wrong.
            """)

    @OptionGroup var config: ConfigurationOption
    @Option(help: "The port of the first listener, instead of the configured one.") var port: UInt16?

    /// The main thread waits here: an asynchronous `main` would end it, and a thread that has ended keeps the identity
    /// that the process has given up.
    func run() throws {
        ProcessLimits.prepare()
        let loaded = try load()
        let (path, port) = (config.path, port)
        let ended = DispatchSemaphore(value: 0)
        let isGood = Mutex(false)
        Task {
            let good = await Self.serve(loaded) { () throws(BadConfiguration) in try Self.load(path, port: port) }
            isGood.withLock { $0 = good }
            ended.signal()
        }
        ended.wait()
        if !isGood.withLock({ $0 }) { throw ExitCode.failure }
    }

    /// - Parameter load: reads all files again.
    private static func serve(
        _ loaded: LoadedConfiguration, _ load: @escaping Reloader.Load
    ) async -> Bool {
        let log = loaded.node.log
        let writer = LogWriter(format: log.format)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, writer: writer, level: log.level.swiftLog) }
        let logger = Logger(label: "relay")
        tellAboutFiles(loaded.node, logger)
        do {
            try tellAboutSources(loaded, logger)
            let relay = try await Relay.start(loaded, load, writer: writer, logger: logger)
            let reload = ReloadSignal(relay.reloader)
            try await relay.serve {
                logger.notice("ready", metadata: summary(loaded))
                ServiceManager.tell(.ready)
            }
            reload.cancel()
            logger.notice("ended in order")
            writer.stop()
            return true
        } catch {
            writer.stop()
            Terminal.complain("figaro cannot run: \(Visible.text(Self.words(for: error, loaded.node)))")
            return false
        }
    }

    /// What went wrong, and what to do about it.
    private static func words(for error: any Error, _ node: NodeConfiguration) -> String {
        guard let failure = error as? StoreFailure, failure.kind == .diskFull || isFull(node.spool) else {
            return "\(error)"
        }
        return "the disk of the spool \(node.spool) is full: make room, nothing in the spool is lost (\(failure))"
    }

    /// SQLite does not always tell want of room from other troubles of a disk.
    private static func isFull(_ spool: String) -> Bool {
        var status = statvfs()
        guard statvfs(spool, &status) == 0 else { return false }
        return UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue < 1 << 20
    }

    private func load() throws -> LoadedConfiguration {
        do throws(BadConfiguration) {
            return try Self.load(config.path, port: port)
        } catch {
            throw error.report()
        }
    }

    private static func load(_ path: String?, port: UInt16?) throws(BadConfiguration) -> LoadedConfiguration {
        var loaded = try LoadedConfiguration.load(path)
        if let port, !loaded.node.intake.listeners.isEmpty { loaded.node.intake.listeners[0].port = Int(port) }
        return loaded
    }

    private static func summary(_ loaded: LoadedConfiguration) -> Logger.Metadata {
        let listeners = loaded.node.intake.listeners.map { "\($0.address) port \($0.port)" }
        return [
            "listeners": "\(listeners.joined(separator: ", "))", "sources": "\(loaded.ipmap.sources.count)",
            "spool": "\(loaded.node.spool)", "control": "\(loaded.node.control)",
        ]
    }

    /// An address that cannot be bound is no reason not to start: the others can send. Where there are no others, mail
    /// would be taken and never leave.
    private static func tellAboutSources(_ loaded: LoadedConfiguration, _ logger: Logger) throws {
        for warning in loaded.ipmap.warnings { logger.warning("\(warning)") }
        let sending = loaded.ipmap.sources.filter(\.state.maySend)
        let faults = SourceBinding.unbound(sending)
        guard let (source, fault) = faults.first else { return }
        if faults.count == sending.count {
            throw NothingToSendFrom(
                description: "none of the \(sending.count) sources can be bound on this machine (\(source.name) "
                    + "\(source.address): \(fault)); `figaro ipmap check` names them, and `ip route add local NETWORK "
                    + "dev lo` gives the machine a whole network")
        }
        logger.error(
            "sources cannot be bound and will not send; see `figaro ipmap check`",
            metadata: [
                "count": "\(faults.count)", "first": "\(source.name)", "address": "\(source.address)",
                "reason": "\(fault)",
            ])
    }

    private struct NothingToSendFrom: Error, CustomStringConvertible {
        var description: String
    }

    private static func tellAboutFiles(_ node: NodeConfiguration, _ logger: Logger) {
        // Besides a socket each: content files of large messages, the store, and the system's own.
        // A check has a connection to each kind of filter.
        let checks = node.filter == nil ? 0 : min(node.intake.limits.connections, 2_000) * 2
        let needed = (node.intake.limits.connections + node.planner.sessions) * 5 / 4 + 100 + checks
        let limit = ProcessLimits.raiseFileLimit(needed: needed)
        if limit < needed {
            logger.warning(
                "the limit of open files may not do for the configured connections and sessions",
                metadata: ["limit": "\(limit)", "needed": "\(needed)"])
        }
    }
}
