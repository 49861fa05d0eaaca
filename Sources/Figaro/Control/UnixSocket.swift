import Glibc

/// The few calls on Unix sockets that control needs, each with a bound on its wait.
enum UnixSocket {
    struct Failure: Error {
        var code: Int32

        init(_ code: Int32 = errno) {
            self.code = code
        }

        var reason: String { String(cString: strerror(code)) }
    }

    static func make() throws(Failure) -> Int32 {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw Failure() }
        return socket
    }

    static func connect(_ socket: Int32, to path: String) throws(Failure) {
        let result = try withAddress(path) { Glibc.connect(socket, $0, $1) }
        if result != 0 { throw Failure() }
    }

    static func bind(_ socket: Int32, to path: String) throws(Failure) {
        let result = try withAddress(path) { Glibc.bind(socket, $0, $1) }
        if result != 0 { throw Failure() }
    }

    /// Bounds each read and each write.
    static func setTimeout(_ socket: Int32, seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// The user at the other side of a connection; nil when the system does not say.
    static func peer(_ socket: Int32) -> uid_t? {
        // `struct ucred` of <bits/socket.h>, which Glibc shows to GNU sources alone: pid, uid, gid.
        var credentials: (pid: Int32, user: UInt32, group: UInt32) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0,
            size == MemoryLayout.size(ofValue: credentials)
        else { return nil }
        return credentials.user
    }

    /// False once the other side has closed its end.
    static func isOpen(_ socket: Int32) -> Bool {
        var asked = pollfd(fd: socket, events: 0, revents: 0)
        guard poll(&asked, 1, 0) > 0 else { return true }
        return Int32(asked.revents) & (POLLHUP | POLLERR | POLLNVAL) == 0
    }

    /// Sends all of it; false when the other side is gone or does not read.
    static func send(_ socket: Int32, _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let sent = Glibc.send(
                    socket, bytes.baseAddress.map { $0 + start }, bytes.count - start, Int32(MSG_NOSIGNAL))
                if sent < 0, errno == EINTR { continue }
                guard sent > 0 else { return false }
                start += sent
            }
            return true
        }
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(Failure) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count <= ControlAddress.longestPath, !bytes.contains(0) else { throw Failure(ENAMETOOLONG) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// Reads lines from a socket, with a bound on each.
struct LineReader {
    enum Line: Hashable {
        case line(String)
        case end
        case tooLong
        /// The other side said nothing for too long, or the connection broke.
        case broken
    }

    let socket: Int32
    let limit: Int
    private var buffer: [UInt8] = []
    /// Octets of the buffer that hold no line end.
    private var searched = 0

    init(socket: Int32, limit: Int) {
        self.socket = socket
        self.limit = limit
    }

    mutating func next() -> Line {
        while true {
            if let end = buffer[searched...].firstIndex(of: 10) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                searched = 0
                return .line(line)
            }
            searched = buffer.count
            if buffer.count > limit { return .tooLong }
            var part = [UInt8](repeating: 0, count: 16 << 10)
            let count = recv(socket, &part, part.count, 0)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return .broken }
            if count == 0 { return buffer.isEmpty ? .end : .broken }
            buffer += part[..<count]
        }
    }
}
