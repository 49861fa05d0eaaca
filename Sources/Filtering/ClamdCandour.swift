import Logging
import NIOCore
import Synchronization

/// Knows of each clamd whether it tells when it has not looked at all of a message.
///
/// As it ships (`AlertExceedsMax no`) clamd says OK to what goes over its limits, and no OK of it is worth anything. So
/// before its first OK counts, and again every minute, it is asked about a message that is nested deeper than any clamd
/// looks: its `MaxRecursion` is 100 at most.
final class ClamdCandour: Sendable {
    private static let again = TimeAmount.seconds(60)
    private static let patience = TimeAmount.seconds(10)
    private static let depth = 110

    private struct Standing {
        /// It told, and is not asked again before.
        var until: NIODeadline?
        var isBeingAsked = false
    }

    private let places: [NodePlace]
    private let standing: Mutex<[Standing]>
    private let logger: Logger

    init(_ places: [NodePlace], logger: Logger) {
        self.places = places
        self.logger = logger
        standing = Mutex(Array(repeating: Standing(), count: places.count))
    }

    /// After it was down it may have come back with other settings.
    func forget(_ node: Int) { standing.withLock { $0[node].until = nil } }

    /// Succeeds where an OK of this clamd counts; fails with ``NodeFailure``, at the deadline at the latest.
    func confirm(_ node: Int, on loop: any EventLoop, by deadline: NIODeadline) -> EventLoopFuture<Void> {
        let now = NIODeadline.now()
        let (isKnown, isDue) = standing.withLock { standing in
            guard let until = standing[node].until else { return (false, false) }
            let isDue = now >= until && !standing[node].isBeingAsked
            if isDue { standing[node].isBeingAsked = true }
            return (true, isDue)
        }
        guard isKnown else { return ask(node, on: loop, by: deadline) }
        if isDue { _ = ask(node, on: loop, by: now + Self.patience) }
        return loop.makeSucceededVoidFuture()
    }

    private func ask(_ node: Int, on loop: any EventLoop, by deadline: NIODeadline) -> EventLoopFuture<Void> {
        ClamdScan.run(Self.probe, at: places[node], on: loop, by: deadline).flatMapThrowing { _ in
            throw NodeFailure("says OK to what is over its limits: it needs “AlertExceedsMax yes” in its clamd.conf")
        }.flatMapErrorThrowing { [self] error in
            let failure = error as? NodeFailure ?? NodeFailure("\(error)")
            let tells = failure.isTooLarge
            standing.withLock { standing in
                standing[node].isBeingAsked = false
                standing[node].until = tells ? .now() + Self.again : nil
            }
            guard !tells else { return }
            logger.error("clamd cannot be relied upon", metadata: ["node": "\(places[node])", "why": "\(failure)"])
            throw failure
        }
    }

    /// Some 9 KB: messages in messages.
    static let probe: ByteBuffer = {
        let layer = "From: limits@figaro.invalid\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
        return ByteBuffer(
            string: String(repeating: layer, count: depth) + "From: limits@figaro.invalid\r\n\r\nthe innermost\r\n")
    }()
}
