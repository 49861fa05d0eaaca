import Glibc

/// Tells the service manager how far the relay is: sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names.
///
/// Where there is no such socket, or nobody reads it, nothing happens: that is the manager's trouble, not the mail's.
enum ServiceManager {
    enum State: String {
        /// Listeners answer.
        case ready = "READY=1"
        /// No new mail; what is under way ends.
        case stopping = "STOPPING=1"
    }

    static func tell(_ state: State) {
        guard let name = getenv("NOTIFY_SOCKET") else { return }
        tell(state, socket: String(cString: name))
    }

    /// - Parameter name: a path, or `@` and a name in the abstract namespace (unix(7)).
    static func tell(_ state: State, socket name: String) {
        var path = Array(name.utf8)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.first == UInt8(ascii: "/") || path.first == UInt8(ascii: "@"),
            path.count < MemoryLayout.size(ofValue: address.sun_path)
        else { return }
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + path.count } ?? 0
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return }
        defer { close(socket) }
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                state.rawValue.withCString {
                    sendto(
                        socket, $0, strlen($0), Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), address,
                        socklen_t(length))
                }
            }
        }
    }
}
