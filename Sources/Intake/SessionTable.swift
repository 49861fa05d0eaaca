import Mail
import NIOCore
import SMTP
import Synchronization

/// Who is connected: bounds sessions in all and of each client, and finds them when we go down.
final class SessionTable: Sendable {
    private struct State {
        var limit: Int
        var limitPerClient: Int
        var channels: [ObjectIdentifier: any Channel] = [:]
        var perClient: [IPAddress: Int] = [:]
        var closing = false
        var whenEmpty: EventLoopPromise<Void>?
    }

    private let state: Mutex<State>

    init(limit: Int, limitPerClient: Int) {
        state = Mutex(State(limit: limit, limitPerClient: limitPerClient))
    }

    /// For those who come from now on.
    func limit(to limit: Int, perClient: Int) {
        state.withLock { state in
            state.limit = limit
            state.limitPerClient = perClient
        }
    }

    /// - Returns: why there is no room; nil when the session was entered and has to be removed in the end.
    func enter(_ channel: any Channel, client: IPAddress) -> ServerReply? {
        let key = Self.key(client)
        return state.withLock { state in
            guard !state.closing else { return .shuttingDown }
            guard state.channels.count < state.limit else { return .tooManyConnections }
            let count = state.perClient[key, default: 0]
            guard count < state.limitPerClient else { return .tooManyFromClient }
            state.perClient[key] = count + 1
            state.channels[ObjectIdentifier(channel)] = channel
            return nil
        }
    }

    /// A session is another client's from now on.
    ///
    /// - Returns: why there is no room; nil when it counts as that one's.
    func move(from old: IPAddress, to new: IPAddress) -> ServerReply? {
        let (old, new) = (Self.key(old), Self.key(new))
        guard old != new else { return nil }
        return state.withLock { state in
            let there = state.perClient[new, default: 0]
            guard there < state.limitPerClient else { return .tooManyFromClient }
            let here = state.perClient[old, default: 1] - 1
            state.perClient[old] = here > 0 ? here : nil
            state.perClient[new] = there + 1
            return nil
        }
    }

    func remove(_ channel: any Channel, client: IPAddress) {
        let key = Self.key(client)
        let promise = state.withLock { state -> EventLoopPromise<Void>? in
            guard state.channels.removeValue(forKey: ObjectIdentifier(channel)) != nil else { return nil }
            let count = state.perClient[key, default: 1] - 1
            state.perClient[key] = count > 0 ? count : nil
            guard state.channels.isEmpty else { return nil }
            defer { state.whenEmpty = nil }
            return state.whenEmpty
        }
        promise?.succeed()
    }

    /// Takes nobody in any more; `promise` is kept when all are gone.
    func close(_ promise: EventLoopPromise<Void>) {
        let isEmpty = state.withLock { state in
            state.closing = true
            if state.channels.isEmpty { return true }
            state.whenEmpty?.futureResult.cascade(to: promise)
            if state.whenEmpty == nil { state.whenEmpty = promise }
            return false
        }
        if isEmpty { promise.succeed() }
    }

    var count: Int { state.withLock { $0.channels.count } }

    var channels: [any Channel] {
        state.withLock { Array($0.channels.values) }
    }

    /// A household or server has a whole /64 of IPv6 to connect from.
    private static func key(_ client: IPAddress) -> IPAddress {
        client.isIPv4 ? client : IPAddress(high: client.high, low: 0)
    }
}
