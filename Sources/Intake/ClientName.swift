package import Mail
import NIOCore

/// Finds the name of a client that the DNS confirms: calls back once, within its own deadline, on any thread; with nil
/// where there is no such name or it cannot be found.
package typealias ClientNameFinder = @Sendable (IPAddress, @escaping @Sendable (String?) -> Void) -> Void

/// Filters are told what the client's name is, where it can be had soon; a check without it is better than none.
enum ClientName {
    /// How long a message waits for it, from the first of its session on.
    private static let patience = TimeAmount.seconds(3)

    /// The future never fails.
    static func find(
        _ client: IPAddress, with finder: ClientNameFinder?, on loop: any EventLoop
    ) -> EventLoopFuture<String?> {
        guard let finder else { return loop.makeSucceededFuture(nil) }
        let promise = loop.makePromise(of: String?.self)
        let alarm = loop.scheduleTask(in: patience) { promise.succeed(nil) }
        promise.futureResult.whenComplete { _ in alarm.cancel() }
        // Of two that complete a promise the second changes nothing.
        finder(client) { promise.succeed($0) }
        return promise.futureResult
    }
}
