import Delivery
import Filtering
import Intake
import Logging
import Mail
import NIOCore
import Queue
import Storage
import Synchronization

/// What the relay goes by at this moment.
final class RunningSettings: Sendable {
    private let loaded: Mutex<LoadedConfiguration>

    init(_ loaded: LoadedConfiguration) {
        self.loaded = Mutex(loaded)
    }

    var current: LoadedConfiguration { loaded.withLock { $0 } }

    fileprivate func replace(_ new: LoadedConfiguration) { loaded.withLock { $0 = new } }
}

/// Reads all files again, and has every part go on with what they say; where something is wrong nothing changes.
final class Reloader: Sendable {
    typealias Load = @Sendable () throws(BadConfiguration) -> LoadedConfiguration

    /// What goes on with other settings.
    struct Parts: Sendable {
        let engine: DeliveryEngine
        let intake: IntakeServer
        let filters: FilterTier
        let queue: MailQueue
        let contents: ContentFolder
        let ids: MessageID.Generator
        let group: any EventLoopGroup
        let accounts: AccountBook
    }

    enum Outcome: Sendable {
        /// Nothing has changed.
        case refused([Problem])
        /// - Parameters:
        ///   - atRestart: keys whose values changed and take effect at the next start.
        ///   - warnings: of the ip map, and of accounts that are kept.
        case done(LoadedConfiguration, atRestart: [String], warnings: [String])
    }

    let settings: RunningSettings
    /// What listeners, store and the like were started with.
    private let started: NodeConfiguration
    private let load: Load
    let parts: Parts
    let logger: Logger
    /// One reload at a time.
    private let turn = Mutex(())

    init(_ loaded: LoadedConfiguration, _ load: @escaping Load, _ parts: Parts, logger: Logger) {
        settings = RunningSettings(loaded)
        started = loaded.node
        self.load = load
        self.parts = parts
        self.logger = logger
    }

    /// Blocks.
    ///
    /// - Parameter by: who asked, for the log.
    func reload(by: String) -> Outcome {
        turn.withLock { _ in
            ServiceManager.tell(.reloading)
            defer { ServiceManager.tell(.ready) }
            let outcome = read()
            tell(outcome, by)
            return outcome
        }
    }

    private func read() -> Outcome {
        let new: LoadedConfiguration
        do throws(BadConfiguration) {
            new = try load()
        } catch {
            return .refused(error.problems)
        }
        do {
            // All that may fail comes first.
            var node = new.node
            node.intake.listeners = started.intake.listeners
            let opener = try Relay.opener(node, parts.contents, parts.group)
            let filter = parts.filters.made(for: new.node.filter)
            try parts.intake.replace(new.node.intake, filter: filter)
            parts.filters.replace(filter)
            parts.engine.replace(
                PlannerReplacement(configuration: new.planner, map: new.ipmap.map, rules: new.rules), opener: opener)
        } catch {
            return .refused([Problem(file: new.node.file, path: "", message: "\(error)")])
        }
        let relays = settings.current.ipmap.map.relays
        settings.replace(new)
        parts.accounts.tellAgain()
        retry(relays.filter { new.ipmap.map.relays[$0.key] != $0.value }.keys)
        return .done(
            new, atRestart: started.keysAtRestart(new.node),
            warnings: new.ipmap.warnings + new.conflicts(with: parts.accounts.current))
    }

    /// What waits for a relay that is another one now is tried at once: a password was corrected, or it is gone.
    private func retry(_ relays: some Sequence<String>) {
        var filter = QueueFilter()
        filter.relays = Set(relays)
        guard filter.relays?.isEmpty == false else { return }
        let order = SteeringOrder(.retry, by: "reload", reason: "the relay's settings changed")
        do {
            let count = try parts.queue.steer(order, filter)
            logger.notice("mail for relays that changed is tried now", metadata: ["messages": "\(count.messages)"])
        } catch {
            logger.error("mail for relays that changed waits for its time", metadata: ["error": "\(error)"])
        }
    }

    private func tell(_ outcome: Outcome, _ by: String) {
        switch outcome {
        case .refused(let problems):
            for problem in problems {
                logger.error(
                    "not reloaded, everything stays as it was", metadata: ["problem": "\(problem)", "by": "\(by)"])
            }
        case .done(let loaded, let atRestart, let warnings):
            for warning in warnings { logger.warning("\(warning)") }
            logger.notice(
                "reloaded",
                metadata: [
                    "by": "\(by)", "sources": "\(loaded.ipmap.sources.count)",
                    "customers": "\(loaded.node.intake.customers.count)",
                    "at_restart": "\(atRestart.isEmpty ? "nothing" : atRestart.joined(separator: " "))",
                ])
        }
    }
}

extension NodeConfiguration {
    /// Keys that only a start reads and that are different in `other`.
    func keysAtRestart(_ other: NodeConfiguration) -> [String] {
        let changed = [
            ("listeners", intake.listeners != other.intake.listeners), ("spool", spool != other.spool),
            ("control", control != other.control), ("user", user != other.user), ("dns", resolver != other.resolver),
            ("history", history != other.history), ("metrics", metrics != other.metrics), ("log", log != other.log),
            ("filter.listen", filter?.listeners != other.filter?.listeners),
            ("limits.minimum_disk_free", minimumDiskFree != other.minimumDiskFree),
        ]
        return changed.filter(\.1).map(\.0)
    }
}
