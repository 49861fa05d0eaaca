import Foundation
import Logging
import Mail
import NIOCore
import Queue
import RelayTesting
import Testing

@testable import Figaro

/// The control socket from both sides.
struct ControlTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path + "/run/control.sock" }
    private let logger = Logger(label: "control") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        folder = try TemporaryFolder()
    }

    private func serve(_ answer: @escaping ControlServer.Answer) throws -> ControlServer {
        let server = try ControlServer(path: path, owner: nil, logger: logger, answer: answer)
        server.start()
        return server
    }

    @Test func `a request gets its lines and its end`() throws {
        let server = try serve { request, caller in
            guard case .queue(let request) = request else { return ControlEnd(unknown: true) }
            _ = caller.progress("half of it")
            _ = caller.send("{\"asked\":\"\(request.selection.domain ?? "")\"}")
            return ControlEnd(more: true)
        }
        defer { server.stop() }
        var lines: [String] = []
        let end = try ControlClient.ask(
            .queue(QueueRequest(verb: .list, selection: QueueSelection(domain: "example.com"), limit: 5)), at: path
        ) { lines.append($0) }
        #expect(lines == ["{\"asked\":\"example.com\"}"])
        #expect(end == ControlEnd(more: true))
    }

    @Test func `whoever asks is known by the user that they are`() throws {
        let server = try serve { _, caller in ControlEnd(error: caller.name) }
        defer { server.stop() }
        #expect {
            _ = try ControlClient.ask(.trace(TraceRequest(id: "X")), at: path) { _ in }
        } throws: { "\($0)".hasSuffix("uid \(getuid()))") || "\($0)" == "uid \(getuid())" }
    }

    @Test func `long work learns that nobody waits any more`() throws {
        let ended = DispatchSemaphore(value: 0)
        let server = try serve { _, caller in
            while caller.isThere() { usleep(1_000) }
            ended.signal()
            return ControlEnd()
        }
        defer { server.stop() }
        let socket = try UnixSocket.make()
        try UnixSocket.connect(socket, to: path)
        #expect(UnixSocket.send(socket, JSONLine.text(ControlRequest.trace(TraceRequest(id: "X"))) + "\n"))
        #expect(ended.wait(timeout: .now() + .milliseconds(100)) == .timedOut)
        close(socket)
        #expect(ended.wait(timeout: .now() + .seconds(5)) == .success)
    }

    @Test func `the socket is for its owner and group alone, and goes with the relay`() throws {
        let server = try serve { _, _ in ControlEnd() }
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o660)
        #expect(stat(folder.path + "/run", &status) == 0 && status.st_mode & 0o777 == 0o750)
        server.stop()
        #expect(access(path, F_OK) != 0)
    }

    @Test func `a socket left by a crash is taken over, a living one is not`() throws {
        #expect(mkdir(folder.path + "/run", 0o750) == 0)
        let dead = try UnixSocket.make()
        try UnixSocket.bind(dead, to: path)
        close(dead)
        let server = try serve { _, _ in ControlEnd() }
        defer { server.stop() }
        #expect {
            _ = try serve { _, _ in ControlEnd() }
        } throws: { "\($0)" == "another relay is running on \(path)" }
    }

    @Test func `a file in its place is not removed`() throws {
        #expect(mkdir(folder.path + "/run", 0o750) == 0)
        try folder.write("run/control.sock", "mine")
        #expect(throws: ControlServer.CannotServe.self) { _ = try serve { _, _ in ControlEnd() } }
        #expect(access(path, F_OK) == 0)
    }

    @Test func `without a relay the command says so`() {
        #expect {
            _ = try ControlClient.ask(.trace(TraceRequest(id: "X")), at: path) { _ in }
        } throws: { "\($0)".hasPrefix("no relay is running on \(path)") }
    }

    @Test(arguments: [
        "nonsense\n", "{}\n", "{\"command\":\"shutdown\"}\n", "\u{0}\n", String(repeating: "x", count: 70_000),
    ])
    func `nonsense is answered with an error`(text: String) throws {
        let server = try serve { _, _ in ControlEnd() }
        defer { server.stop() }
        let socket = try UnixSocket.make()
        defer { close(socket) }
        try UnixSocket.connect(socket, to: path)
        UnixSocket.setTimeout(socket, seconds: 5)
        _ = UnixSocket.send(socket, text)
        var reader = LineReader(socket: socket, limit: 1_000)
        guard case .line(let line) = reader.next() else {
            Issue.record("no answer")
            return
        }
        #expect(JSONLine.value(ControlEnd.self, from: line)?.error != nil)
    }

    @Test func `more commands at once than fit are turned away, and room comes back`() throws {
        let server = try serve { _, _ in ControlEnd() }
        defer { server.stop() }
        var idle: [Int32] = []
        for _ in 0..<8 {
            let socket = try UnixSocket.make()
            try UnixSocket.connect(socket, to: path)
            idle.append(socket)
        }
        var refused = false
        for _ in 0..<100 where !refused {
            refused = (try? ControlClient.ask(.trace(TraceRequest(id: "X")), at: path) { _ in }) == nil
            usleep(10_000)
        }
        #expect(refused)
        idle.forEach { close($0) }
        var answered = false
        for _ in 0..<100 where !answered {
            usleep(10_000)
            answered = (try? ControlClient.ask(.trace(TraceRequest(id: "X")), at: path) { _ in }) != nil
        }
        #expect(answered)
    }

    @Test func `a relay that breaks off is an error and no end`() throws {
        let listener = try UnixSocket.make()
        #expect(mkdir(folder.path + "/run", 0o750) == 0)
        try UnixSocket.bind(listener, to: path)
        listen(listener, 1)
        let breaking = Thread {
            let socket = accept(listener, nil, nil)
            _ = UnixSocket.send(socket, "{\"id\":\"half")
            close(socket)
            close(listener)
        }
        breaking.start()
        #expect {
            _ = try ControlClient.ask(.trace(TraceRequest(id: "X")), at: path) { _ in }
        } throws: { "\($0)".contains("broke off") || "\($0)".contains("does not take") }
    }

    @Test func `reports survive the socket, and what they show is harmless`() throws {
        let message = QueuedMessage(
            id: MessageID(value: 1 << 40), customer: "acme", sender: .null, eightBit: false, utf8: false, size: 334,
            arrived: Timestamp(milliseconds: 0), expires: Timestamp(milliseconds: 1_000), content: .inline(ByteBuffer())
        )
        let entry = QueueEntry(
            message: message,
            works: [
                QueueEntry.Part(
                    domain: "example.com", recipients: [Address(localPart: "\u{1B}[2Ja", domain: "example.com")],
                    progress: Progress(
                        due: Timestamp(milliseconds: 500), tried: ["vienna-17"],
                        firstRefusal: .said("550 \u{9B}no\u{202E}", at: Timestamp(milliseconds: 0))),
                    state: .waiting,
                    hold: Hold(at: Timestamp(milliseconds: 1), by: "root (uid 0)", reason: "\u{1B}[31mred"))
            ], untold: [])
        let line = JSONLine.text(QueueReport(entry, at: Timestamp(milliseconds: 90_000)))
        #expect(!line.unicodeScalars.contains { Visible.isHostile($0) })
        let report = try #require(JSONLine.value(QueueReport.self, from: line))
        #expect(report == QueueReport(entry, at: Timestamp(milliseconds: 90_000)))
        #expect(JSONLine.value(ControlEnd.self, from: line) == nil)
        for shown in report.lines + [report.summary] {
            #expect(!shown.unicodeScalars.contains { Visible.isHostile($0) })
        }
    }
}
