package import Mail
import NIOCore
import NIOPosix

/// Where a node listens.
package enum NodePlace: Sendable, Hashable, CustomStringConvertible {
    case address(IPAddress, port: Int)
    /// Path of a socket in the file system.
    case socket(String)

    /// Reads `192.0.2.1:11333`, `[2001:db8::1]:11333` or `/run/clamav/clamd.ctl`; nil when it is neither.
    package init?(_ text: String) {
        if text.hasPrefix("/") {
            // sun_path's size, with the NUL at its end.
            guard text.utf8.count < 108 else { return nil }
            self = .socket(text)
            return
        }
        guard let colon = text.lastIndex(of: ":") else { return nil }
        guard let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(host), address.isIPv4 != isBracketed else { return nil }
        self = .address(address, port: Int(port))
    }

    package var description: String {
        switch self {
        case .address(let address, let port): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .socket(let path): path
        }
    }

    /// Has one handler talk to the node over a connection of its own, which is gone at the deadline at the latest.
    ///
    /// - Parameter fail: called on the loop where there is no connection, or none any more at the deadline.
    func converse(
        _ handler: any ChannelInboundHandler, on loop: any EventLoop, by deadline: NIODeadline,
        fail: @escaping (NodeFailure) -> Void
    ) {
        let left = deadline - .now()
        guard left > .zero else { return fail(NodeFailure("did not answer in time")) }
        let bound = NIOLoopBound(handler, eventLoop: loop)
        connect(loop, timeout: left) { channel in
            try channel.pipeline.syncOperations.addHandler(bound.value)
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error): fail(NodeFailure("cannot be reached: \(error)"))
            case .success(let channel):
                let alarm = loop.assumeIsolated().scheduleTask(deadline: deadline) {
                    fail(NodeFailure("did not answer in time"))
                    channel.close(promise: nil)
                }
                channel.closeFuture.whenComplete { _ in alarm.cancel() }
            }
        }
    }

    /// - Parameter prepare: called on the loop before the connection is made.
    func connect(
        _ loop: any EventLoop, timeout: TimeAmount, prepare: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(min(timeout, .seconds(5)))
            .channelInitializer { channel in channel.eventLoop.makeCompletedFuture { try prepare(channel) } }
        return switch self {
        case .address(let address, let port): bootstrap.connect(host: address.description, port: port)
        case .socket(let path): bootstrap.connect(unixDomainSocketPath: path)
        }
    }
}
