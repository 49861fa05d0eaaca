import Foundation
import Synchronization
import Testing

/// A real unbound on a loopback port of its own, in a folder of its own, ended by its process id.
final class RealNameServer {
    let port: UInt16
    private let process: Process
    private let folder: URL

    struct NotStarted: Error {
        let log: String
    }

    /// - Parameter lines: of the `server:` section: `local-zone`, `local-data`.
    init(_ lines: [String]) throws {
        port = try Self.freePort()
        folder = FileManager.default.temporaryDirectory.appending(path: "figaro-dns-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let configuration = """
            server:
              interface: 127.0.0.1@\(port)
              do-daemonize: no
              username: ""
              chroot: ""
              directory: "\(folder.path)"
              pidfile: ""
              use-syslog: no
              logfile: "\(folder.path)/log"
              access-control: 127.0.0.0/8 allow
              module-config: "iterator"
              do-ip6: no
              num-threads: 1
            \(lines.map { "  " + $0 }.joined(separator: "\n"))
            remote-control:
              control-enable: no
            """
        try configuration.write(to: folder.appending(path: "conf"), atomically: true, encoding: .utf8)
        process = Process()
        process.executableURL = URL(filePath: "/usr/sbin/unbound")
        process.arguments = ["-d", "-p", "-c", folder.appending(path: "conf").path]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        for _ in 0..<500 where process.isRunning {
            if Self.answers(port) { return }
            usleep(20_000)
        }
        let log = (try? String(contentsOf: folder.appending(path: "log"), encoding: .utf8)) ?? "no log"
        stop()
        throw NotStarted(log: log)
    }

    func stop() {
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    /// One that is free for UDP and TCP at this moment.
    static func freePort() throws -> UInt16 {
        for _ in 0..<50 {
            let udp = try LoopbackSocket(SOCK_DGRAM)
            let tcp = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(tcp) }
            if LoopbackSocket.bind(tcp, udp.port) { return udp.port }
        }
        throw NotStarted(log: "no free port")
    }

    private static func answers(_ port: UInt16) -> Bool {
        let tcp = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(tcp) }
        return LoopbackSocket.withAddress(port) { connect(tcp, $0, $1) == 0 }
    }
}

/// A socket on a loopback port that the system chose.
final class LoopbackSocket: Sendable {
    let descriptor: Int32
    let port: UInt16

    struct Refused: Error {}

    init(_ type: __socket_type) throws {
        let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let named = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                Self.bind(descriptor, 0) && getsockname(descriptor, address, &length) == 0
            }
        }
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
        guard named else { throw Refused() }
    }

    deinit { close(descriptor) }

    static func bind(_ descriptor: Int32, _ port: UInt16) -> Bool {
        withAddress(port) { Glibc.bind(descriptor, $0, $1) == 0 }
    }

    static func withAddress<T>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}

/// A name server that says what a test wants, also nothing and also nonsense; UDP only.
final class ScriptedNameServer: Sendable {
    enum Said: Sendable {
        case nothing
        /// The response code, without records.
        case code(UInt8)
        /// Record data as it goes over the wire.
        case records([[UInt8]])
        /// Whatever bytes.
        case bytes([UInt8])
    }

    private let socket: LoopbackSocket
    private let heard = Mutex<[String]>([])
    private let open = Mutex(true)
    private let script: @Sendable (_ name: String, _ type: UInt16) -> Said

    var port: UInt16 { socket.port }
    /// `name type` of every question, in order.
    var questions: [String] { heard.withLock { $0 } }

    init(_ script: @escaping @Sendable (_ name: String, _ type: UInt16) -> Said) throws {
        self.script = script
        socket = try LoopbackSocket(SOCK_DGRAM)
        var wait = timeval(tv_sec: 0, tv_usec: 50_000)
        setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        Thread.detachNewThread { [self] in while open.withLock({ $0 }) { serve() } }
    }

    func stop() { open.withLock { $0 = false } }

    private func serve() {
        var packet = [UInt8](repeating: 0, count: 4_096)
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &from) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(socket.descriptor, &packet, packet.count, 0, $0, &length)
            }
        }
        guard count > 12, let reply = reply(Array(packet[..<count])) else { return }
        _ = withUnsafePointer(to: &from) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(socket.descriptor, reply, reply.count, 0, $0, length)
            }
        }
    }

    private func reply(_ query: [UInt8]) -> [UInt8]? {
        var labels: [String] = []
        var at = 12
        while at < query.count, query[at] != 0 {
            labels.append(String(decoding: query[(at + 1)...].prefix(Int(query[at])), as: UTF8.self).lowercased())
            at += 1 + Int(query[at])
        }
        guard at + 5 <= query.count else { return nil }
        let type = UInt16(query[at + 1]) << 8 | UInt16(query[at + 2])
        let name = labels.joined(separator: ".")
        heard.withLock { $0.append("\(name) \(type)") }
        let question = query[12..<at + 5]
        func header(_ code: UInt8, _ count: Int) -> [UInt8] {
            [query[0], query[1], 0x81, 0x80 | code, 0, 1, UInt8(count >> 8), UInt8(count & 255), 0, 0, 0, 0]
        }
        switch script(name, type) {
        case .nothing: return nil
        case .code(let code): return header(code, 0) + question
        case .bytes(let bytes): return [query[0], query[1]] + bytes
        case .records(let records):
            var packet = header(0, records.count) + question
            for data in records {
                packet += [0xC0, 12]
                packet += query[(at + 1)..<(at + 5)]
                packet += [0, 0, 0, 60, UInt8(data.count >> 8), UInt8(data.count & 255)]
                packet += data
            }
            return packet
        }
    }
}
