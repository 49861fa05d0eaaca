package import NIOCore

/// The sessions of one event loop, looked over together for passed deadlines.
///
/// A timer of its own for each session would have to be found among all others when the session ends, which costs as
/// many steps as there are sessions: with ten thousand that are idle, every further one would pay for them.
package final class SessionWatch: @unchecked Sendable {
    // SAFETY: `sessions` and `isTicking` are touched on `loop` only.
    private let loop: any EventLoop
    private let interval: TimeAmount
    private var sessions: [ServerHandler] = []
    private var isTicking = false

    package init(loop: any EventLoop, timeouts: ServerTimeouts) {
        self.loop = loop
        interval = timeouts.lookInterval
    }

    func add(_ session: ServerHandler) {
        guard session.slot == nil else { return }
        session.slot = sessions.count
        sessions.append(session)
        tick()
    }

    func remove(_ session: ServerHandler) {
        guard let slot = session.slot, slot < sessions.count, sessions[slot] === session else { return }
        session.slot = nil
        let last = sessions.removeLast()
        guard last !== session else { return }
        sessions[slot] = last
        last.slot = slot
    }

    private func tick() {
        guard !isTicking, !sessions.isEmpty else { return }
        isTicking = true
        loop.assumeIsolated().scheduleTask(in: interval) { [self] in
            isTicking = false
            let now = loop.now
            // Backwards: what ends on the way leaves the list, and the last one, which was looked at, takes its place.
            for slot in sessions.indices.reversed() where slot < sessions.count {
                sessions[slot].checkDeadline(now)
            }
            tick()
        }
    }
}
