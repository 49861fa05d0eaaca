import Foundation
import Logging
import Mail
import Testing

@testable import Figaro

/// Lines of the log, as people and programs read them.
struct LogTests {
    private let attempt = TraceEvent.Attempt(
        id: 7, message: MessageID(value: 1 << 40), at: Timestamp(milliseconds: 1_795_342_444_123), site: "example.com",
        source: "vienna-17", sourceAddress: IPAddress(v4: 0xCB00_7111), host: "mx.example.com",
        hostAddress: IPAddress(v4: 0xC633_6401), recipients: [Address(localPart: "a", domain: "example.com")],
        phase: .rcpt, reply: Reply(550, EnhancedStatus(5, 7, 1), "blocked\u{1B}[2J using \"list\"\r\nlevel=info"),
        cause: .source, rule: "listed", decision: "another source", why: "the address is listed",
        next: Timestamp(milliseconds: 1_795_342_445_000))

    private func line(_ event: TraceEvent, _ format: LogSettings.Format) -> String {
        var bytes: [UInt8] = []
        EventLine.append(event, format, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `an attempt is one line of logfmt with every id, and a reply cannot break out of it`() {
        let text = line(.attempted(attempt), .logfmt)
        #expect(
            text == """
                time=2026-11-22T10:14:04.123Z level=info event=attempt message=\(attempt.message) attempt=7 \
                to=a@example.com site=example.com source=vienna-17 source_address=203.0.113.17 host=mx.example.com \
                host_address=198.51.100.1 phase=rcpt \
                reply="550 5.7.1 blocked\\u001b[2J using \\"list\\"\\u000d\\nlevel=info" cause=source rule=listed \
                decision="another source" why="the address is listed" next=2026-11-22T10:14:05.000Z

                """)
    }

    @Test func `the same line as JSON is JSON`() throws {
        let text = line(.attempted(attempt), .json)
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        #expect(object?["attempt"] as? Int == 7)
        #expect(object?["cause"] as? String == "source")
        #expect(object?["reply"] as? String == attempt.reply?.description)
        #expect(text.filter(\.isNewline) == "\n")
    }

    @Test func `what is invisible or turns text around is escaped`() {
        #expect(Visible.text("a\u{202E}b\u{9B}c\u{7F}\\é日") == "a\\u{202E}b\\u{9B}c\\u{7F}\\\\é日")
        #expect(Visible.text("plain text") == "plain text")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_735_689_599_999, "2024-12-31T23:59:59.999Z"), (4_107_542_400_001, "2100-03-01T00:00:00.001Z"),
        (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "1970-01-01T00:00:00.000Z"),
    ])
    func `points of time are written in UTC`(milliseconds: Int64, text: String) {
        #expect(UTCTime.text(Timestamp(milliseconds: milliseconds)) == text)
    }

    @Test func `events and lines arrive in order, all of them, and none after the end`() throws {
        let folder = try TemporaryFolder()
        let file = open(folder.path + "/log", O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        let writer = LogWriter(file: file)
        var logger = Logger(label: "test") { LineLogHandler(label: $0, writer: writer, level: .info) }
        logger[metadataKey: "a b"] = "1"
        logger.info("first", metadata: ["x": "y z"])
        logger.debug("not shown")
        for _ in 0..<1_000 { EventLog(writer: writer).record([.attempted(attempt), .attempted(attempt)]) }
        writer.stop()
        writer.stop()
        writer.enqueue(.line(Array("late\n".utf8)))
        let lines = try String(contentsOfFile: folder.path + "/log", encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 2_001)
        #expect(lines.first?.hasSuffix("level=info part=test event=first a_b=1 x=\"y z\"") == true)
        #expect(lines.last?.contains("attempt=7") == true)
    }

    @Test func `a log that nobody reads drops lines, counts them, and holds up nobody`() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let writer = LogWriter(file: ends[1])
        let event = TraceEvent.attempted(attempt)
        for _ in 0..<200 { writer.enqueue(.events(Array(repeating: event, count: 1_000))) }
        // The pipe is full and the thread stands still; now somebody reads.
        let reading = ends[0]
        let reader = Thread {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while read(reading, &buffer, buffer.count) > 0 {}
        }
        reader.start()
        usleep(50_000)
        writer.enqueue(.line(Array("after\n".utf8)))
        writer.stop()
        close(ends[1])
        #expect(writer.droppedInAll > 0)
    }
}
