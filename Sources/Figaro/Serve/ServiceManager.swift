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
        /// Files are being read again; ``ready`` follows.
        case reloading = "RELOADING=1"
    }

    static func tell(_ state: State) {
        guard let name = getenv("NOTIFY_SOCKET") else { return }
        tell(text(of: state), socket: String(cString: name))
    }

    /// A reload tells its time as well: the manager's `Type=notify-reload` tells this one from an earlier by it.
    static func text(of state: State) -> String {
        guard state == .reloading else { return state.rawValue }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return "\(state.rawValue)\nMONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)"
    }

    /// - Parameter name: a path, or `@` and a name in the abstract namespace (unix(7)).
    static func tell(_ text: String, socket name: String) {
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
                text.withCString {
                    sendto(
                        socket, $0, strlen($0), Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), address,
                        socklen_t(length))
                }
            }
        }
    }
}
