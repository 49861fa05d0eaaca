import ArgumentParser
import Foundation
import Testing

@testable import Figaro

/// The whole relay in a process of its own: accept, ask, trace, end, start again.
struct ServeTests {
    /// Says lines to the relay and gives all that it answered.
    private static func talk(port: UInt16, _ lines: [String]) -> String {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        UnixSocket.setTimeout(socket, seconds: 10)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return "" }
        var reader = LineReader(socket: socket, limit: 4_096)
        var said: [String] = []
        func reply() {
            while case .line(let line) = reader.next() {
                said.append(line)
                if line.dropFirst(3).first != "-" { return }
            }
        }
        reply()
        for line in lines {
            _ = UnixSocket.send(socket, line + "\r\n")
            reply()
        }
        return said.joined(separator: "\n")
    }

    private static let dialogue = [
        "EHLO client.example", "MAIL FROM:<a@customer.example>", "RCPT TO:<b@sink.example>", "DATA",
        "Subject: hello\r\n\r\nhello\r\n.", "QUIT",
    ]

    /// A port that was free a moment ago.
    private static func freePort() throws -> UInt16 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let done = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        try #require(done)
        return UInt16(bigEndian: address.sin_port)
    }

    /// Serves until SIGTERM while `work` runs beside it; gives the exit code.
    private static func serve(_ words: [String], beside work: @escaping @Sendable () -> Void) async -> Int32 {
        let worker = Thread {
            work()
            kill(getpid(), SIGTERM)
        }
        worker.start()
        return await run(["serve"] + words)
    }

    /// Serving blocks its thread, as the main thread of the program; here that must be none of the test library's.
    private static func run(_ words: [String]) async -> Int32 {
        await withCheckedContinuation { continuation in
            Thread {
                var code: Int32 = 0
                do {
                    var command = try Main.parseAsRoot(words)
                    try command.run()
                } catch {
                    code = Main.exitCode(for: error).rawValue
                }
                continuation.resume(returning: code)
            }.start()
        }
    }

    private static func ask(_ request: ControlRequest, _ socket: String) -> [String] {
        var lines: [String] = []
        _ = try? ControlClient.ask(request, at: socket) { lines.append($0) }
        return lines
    }

    @Test func `a message is accepted, listed and traced, and is there after an end in order`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path
        let port = try Self.freePort()
        let dead = try Self.freePort()
        try folder.write(
            "ipmaps.d/map.yaml",
            """
            ranges: { loop: { cidr: 127.77.0.0/28, ehlo: "out-{4}.relay.example" } }
            sites: { sink.example: { host: 127.0.0.1, port: \(dead), tls: none } }
            """)
        try folder.write(
            "relay.yaml",
            """
            hostname: relay.example
            spool: spool
            listeners: [{ address: 127.0.0.1, port: \(port) }]
            customers: { acme: { networks: [127.0.0.0/8] } }
            delivery: { allow: ["127.0.0.0/8:\(dead)"], schedule: [1h] }
            ipmaps: ipmaps.d
            """)
        await #expect(processExitsWith: .success) { [path = path as String, port = port as UInt16] in
            let code = await Self.serve(["--config", path + "/relay.yaml"]) {
                var said = ""
                for _ in 0..<600 where said.isEmpty {
                    usleep(100_000)
                    said = Self.talk(port: port, Self.dialogue)
                }
                let socket = path + "/spool/control.sock"
                var events: [TraceReport] = []
                for _ in 0..<600 where events.count < 2 {
                    usleep(100_000)
                    let listed = Self.ask(
                        .queue(QueueRequest(verb: .list, selection: QueueSelection(domain: "sink.example"))), socket)
                    guard let report = listed.first.flatMap({ JSONLine.value(QueueReport.self, from: $0) }) else {
                        continue
                    }
                    events = Self.ask(.trace(TraceRequest(id: report.id)), socket).compactMap {
                        JSONLine.value(TraceReport.self, from: $0)
                    }
                }
                try? "\(said)\n\(events.map(\.event).joined(separator: " "))"
                    .write(toFile: path + "/said", atomically: true, encoding: .utf8)
            }
            exit(code)
        }
        let said = try String(contentsOfFile: path + "/said", encoding: .utf8)
        #expect(said.contains("\n354 ") && said.contains("\n221 "), "\(said)")
        #expect(said.hasSuffix("accepted attempt"), "\(said)")
        await #expect(processExitsWith: .success) { [path = path as String] in
            let code = await Self.serve(["--config", path + "/relay.yaml"]) {
                var listed: [String] = []
                for _ in 0..<600 where listed.isEmpty {
                    usleep(100_000)
                    listed = Self.ask(.queue(QueueRequest(verb: .list)), path + "/spool/control.sock")
                }
                try? "\(listed.count)".write(toFile: path + "/kept", atomically: true, encoding: .utf8)
            }
            exit(code)
        }
        #expect(try String(contentsOfFile: path + "/kept", encoding: .utf8) == "1")
    }

    @Test func `a port in use ends the start with 1`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path
        await #expect(processExitsWith: .exitCode(1)) { [path = path as String] in
            let port = try Self.freePort()
            let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            _ = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            listen(socket, 1)
            setenv("FIGARO_HOME", path + "/spool", 1)
            unsetenv("FIGARO_CONFIG")
            exit(await Self.run(["serve", "--port", String(port)]))
        }
    }
}
