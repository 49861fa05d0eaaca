import Logging
import Mail

/// Writes what happens to messages into the log.
struct EventLog: TraceSink {
    let writer: LogWriter

    func record(_ events: [TraceEvent]) {
        if !events.isEmpty { writer.enqueue(.events(events)) }
    }
}

/// Hands each event to several sinks.
struct TraceFanOut: TraceSink {
    let sinks: [any TraceSink]

    func record(_ events: [TraceEvent]) {
        for sink in sinks { sink.record(events) }
    }
}

/// Gives swift-log's lines to the same writer, in the same form.
struct LineLogHandler: LogHandler {
    let label: String
    let writer: LogWriter
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String, writer: LogWriter, level: Logger.Level) {
        self.label = label
        self.writer = writer
        self.logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = LogLine(writer.format)
        line.add("time", SystemTime().now())
        line.add("level", event.level.rawValue)
        line.add("part", label)
        line.add("event", event.message.description)
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line.add(dynamic: key, "\(value)") }
        if let error = event.error { line.add("error", "\(error)") }
        line.end()
        writer.enqueue(.line(line.bytes))
    }
}

extension LogSettings.Level {
    var swiftLog: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
