import Filtering
import Logging
import NIOCore
import Synchronization

/// The filter that intake asks, and the listeners at which this node serves it to others; nothing of it where none is
/// configured.
final class FilterTier: Sendable {
    private let group: any EventLoopGroup
    private let logger: Logger
    private let running: Mutex<Filter?>
    private let server: FilterServer?

    init(_ configuration: Filtering.Configuration?, group: any EventLoopGroup, logger: Logger) {
        self.group = group
        self.logger = logger
        let filter = configuration.map { Filter($0, logger: logger) }
        running = Mutex(filter)
        let serves = configuration?.listeners.isEmpty == false
        server = serves ? filter.map { FilterServer(filter: $0, group: group, logger: logger) } : nil
        filter?.start(on: group.next())
    }

    var filter: Filter? { running.withLock { $0 } }

    /// Takes the ports, while whoever started us still may.
    func bind() async throws { try await server?.bind() }

    /// A filter for other settings; the one that runs, with all that it knows of its nodes, where they are the same.
    func made(for configuration: Filtering.Configuration?) -> Filter? {
        if let filter, filter.configuration == configuration { return filter }
        return configuration.map { Filter($0, logger: logger) }
    }

    /// Goes on with a filter that was ``made(for:)`` these settings. Checks that are under way end with the old one.
    func replace(_ new: Filter?) {
        let old = running.withLock { running in
            defer { running = new }
            return running
        }
        guard old !== new else { return }
        new?.start(on: group.next())
        if let new { server?.replace(new) }
        old?.stop()
    }

    func stop() async {
        await server?.stop()
        filter?.stop()
    }
}
