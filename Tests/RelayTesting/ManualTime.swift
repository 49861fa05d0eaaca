package import Mail
import Synchronization

/// A wall clock that stands still until a test moves it.
package final class ManualTime: TimeSource {
    private let time: Mutex<Timestamp>

    /// - Parameter start: 2026-01-01T00:00:00Z unless said otherwise.
    package init(_ start: Timestamp = Timestamp(milliseconds: 1_767_225_600_000)) {
        time = Mutex(start)
    }

    package func now() -> Timestamp { time.withLock { $0 } }

    package func advance(_ span: Timestamp.Span) { time.withLock { $0 = $0 + span } }

    package func set(_ now: Timestamp) { time.withLock { $0 = now } }
}
