import Glibc
import Testing

/// A port whose queue of connections is full, so that the system lets further ones wait.
final class DeafListener {
    let port: Int
    private var sockets: [CInt] = []

    init() throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        sockets.append(listener)
        // sockaddr_in: family, port, address 127.0.0.1, in network order.
        var raw = [UInt8](repeating: 0, count: 16)
        raw[0] = UInt8(AF_INET)
        raw.replaceSubrange(4..<8, with: [127, 0, 0, 1])
        var length = socklen_t(16)
        try #require(Self.call(&raw) { bind(listener, $0, length) } == 0)
        try #require(listen(listener, 0) == 0)
        try #require(Self.call(&raw) { getsockname(listener, $0, &length) } == 0)
        port = Int(raw[2]) << 8 | Int(raw[3])
        for _ in 0..<3 {
            let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
            sockets.append(client)
            _ = Self.call(&raw) { connect(client, $0, length) }
        }
    }

    func close() {
        for socket in sockets { _ = Glibc.close(socket) }
    }

    private static func call(_ raw: inout [UInt8], _ body: (UnsafeMutablePointer<sockaddr>) -> CInt) -> CInt {
        raw.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { body($0.assumingMemoryBound(to: sockaddr.self)) } ?? -1
        }
    }
}
