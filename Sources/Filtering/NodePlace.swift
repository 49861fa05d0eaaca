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
