import NIOCore
import SMTP

/// The sessions of one event loop, looked over together for passed deadlines.
///
/// A timer of its own for each session would have to be found and taken out of the loop's heap when the session ends,
/// which costs as many steps as there are timers; this costs one pass a second.
final class SessionLoop: @unchecked Sendable {
    // SAFETY: `sessions` and `ticking` are touched on `loop` only.
    let loop: any EventLoop
    private let interval: TimeAmount
    private var sessions: [NIOSession] = []
    private var ticking = false

    /// - Parameter shortest: the shortest deadline there is.
    init(loop: any EventLoop, shortest: TimeAmount) {
        self.loop = loop
        self.interval = min(.seconds(1), max(.milliseconds(5), .nanoseconds(shortest.nanoseconds / 8)))
    }

    func add(_ session: NIOSession) {
        session.slot = sessions.count
        sessions.append(session)
        tick()
    }

    func remove(_ session: NIOSession) {
        guard let slot = session.slot, slot < sessions.count, sessions[slot] === session else { return }
        session.slot = nil
        let last = sessions.removeLast()
        if last !== session {
            sessions[slot] = last
            last.slot = slot
        }
    }

    private func tick() {
        guard !ticking, !sessions.isEmpty else { return }
        ticking = true
        loop.scheduleTask(in: interval) { [self] in
            ticking = false
            let now = NIODeadline.now()
            // A copy, since what has waited too long leaves the list.
            for session in sessions {
                session.handler?.checkDeadline(now)
            }
            tick()
        }
    }
}
