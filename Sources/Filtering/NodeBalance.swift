import NIOCore

/// Which node is asked next: of two drawn at random the one with less to do, among those that answer.
///
/// A node that fails is set aside, each time for longer, and comes back slowly: after its pause, when its `/ping` is
/// answered, its share grows over ``ramp``. Where all are set aside, all are asked: a verdict that may come is better
/// than none. Knows no clock and no chance of its own.
struct NodeBalance: Sendable {
    /// Failures in a row after which a node is set aside.
    private static let patience = 2
    private static let firstPause = TimeAmount.seconds(2)
    private static let longestPause = TimeAmount.seconds(60)
    static let ramp = TimeAmount.seconds(10)
    /// Checks whose times are remembered.
    private static let window = 128
    /// Checks before it is known what is usual.
    private static let least = 20
    /// Of a hundred checks, those that may be asked a second time while the first is still out.
    private static let hedged = 5

    struct Node: Sendable {
        /// Checks it has at this moment.
        var busy = 0
        var failures = 0
        /// Set aside until then, and until a ping is answered.
        var aside: NIODeadline?
        var pause = NodeBalance.firstPause
        /// When it came back.
        var returned: NIODeadline?
        var checks = 0
        var failed = 0
        /// Why the latest check that failed did; nil once one has been answered.
        var lastFailure: String?
    }

    private(set) var nodes: [Node]
    private var times: [Int64] = []
    private var oldest = 0
    /// In hundredths of a check.
    private var allowance = 0
    private(set) var hedges = 0

    init(count: Int) {
        nodes = Array(repeating: Node(), count: count)
    }

    /// - Returns: nil when every node has been asked.
    func pick(without asked: Set<Int>, at now: NIODeadline, using random: inout some RandomNumberGenerator) -> Int? {
        let left = nodes.indices.filter { !asked.contains($0) }
        let well = left.filter { isReady(nodes[$0], at: now, using: &random) }
        let candidates = well.isEmpty ? left : well
        guard let first = candidates.randomElement(using: &random) else { return nil }
        guard let second = candidates.filter({ $0 != first }).randomElement(using: &random) else { return first }
        return nodes[second].busy < nodes[first].busy ? second : first
    }

    private func isReady(_ node: Node, at now: NIODeadline, using random: inout some RandomNumberGenerator) -> Bool {
        guard node.aside == nil else { return false }
        guard let returned = node.returned, now < returned + Self.ramp else { return true }
        let share = (now - returned).nanoseconds * 100 / Self.ramp.nanoseconds
        return Int64.random(in: 0..<100, using: &random) < max(share, 5)
    }

    mutating func begin(_ node: Int) {
        nodes[node].busy += 1
        nodes[node].checks += 1
    }

    /// Given up on without blame: another node was quicker, or the client went.
    mutating func dropped(_ node: Int) {
        nodes[node].busy = max(0, nodes[node].busy - 1)
    }

    mutating func answered(_ node: Int, after time: TimeAmount) {
        dropped(node)
        nodes[node].failures = 0
        nodes[node].lastFailure = nil
        allowance = min(allowance + Self.hedged, 200)
        if times.count < Self.window {
            times.append(time.nanoseconds)
        } else {
            times[oldest] = time.nanoseconds
            oldest = (oldest + 1) % Self.window
        }
    }

    mutating func failed(_ node: Int, at now: NIODeadline, why: String? = nil) {
        dropped(node)
        nodes[node].lastFailure = why
        nodes[node].failed += 1
        nodes[node].failures += 1
        if nodes[node].failures >= Self.patience { setAside(node, at: now) }
    }

    private mutating func setAside(_ node: Int, at now: NIODeadline) {
        if nodes[node].aside == nil {
            nodes[node].aside = now + nodes[node].pause
            nodes[node].pause = min(nodes[node].pause * 2, Self.longestPause)
        }
        nodes[node].returned = nil
    }

    /// What came of a `/ping`.
    mutating func pinged(_ node: Int, isAlive: Bool, at now: NIODeadline) {
        guard isAlive else {
            nodes[node].failures += 1
            if nodes[node].failures >= Self.patience { setAside(node, at: now) }
            return
        }
        guard let aside = nodes[node].aside else {
            // Whoever has done well since is trusted as before.
            if let returned = nodes[node].returned, now >= returned + Self.ramp, nodes[node].failures == 0 {
                nodes[node].pause = Self.firstPause
                nodes[node].returned = nil
            }
            return
        }
        guard now >= aside else { return }
        nodes[node].aside = nil
        nodes[node].failures = 0
        nodes[node].returned = now
    }

    // MARK: asking twice

    /// The time that nineteen of twenty checks take; nil until that is known.
    var usualTime: TimeAmount? {
        guard times.count >= Self.least else { return nil }
        return .nanoseconds(times.sorted()[times.count * 95 / 100])
    }

    /// Takes one of the checks that may be asked a second time.
    mutating func takeHedge() -> Bool {
        guard allowance >= 100 else { return false }
        allowance -= 100
        hedges += 1
        return true
    }
}
