import NIOHTTP1
import Testing

@testable import Console

@Suite struct DeskTests {
    private func desk(trouble: String? = nil, refusal: String? = nil) -> Desk {
        Desk(
            answers: ConsoleServer.Answers(metrics: { "up 1\n" }, trouble: { trouble }, refusal: { refusal }),
            run: { $0() })
    }

    @Test func `each page has its path`() {
        let metrics = desk().page(.GET, "/metrics?x=1")
        #expect(metrics.status == .ok && metrics.body == "up 1\n")
        #expect(metrics.type.contains("version=0.0.4"))
        #expect(desk().page(.HEAD, "/health").status == .ok)
        #expect(desk().page(.GET, "/ready").status == .ok)
        #expect(desk().page(.GET, "/").status == .notFound)
        #expect(desk().page(.GET, "/metrics/").status == .notFound)
        #expect(desk().page(.POST, "/metrics").status == .methodNotAllowed)
    }

    @Test func `what is wrong is said with 503`() {
        let busy = desk(refusal: "busy").page(.GET, "/ready")
        #expect(busy.status == .serviceUnavailable && busy.body == "busy\n")
        #expect(desk(refusal: "busy").page(.GET, "/health").status == .ok)
        #expect(desk(trouble: "disk").page(.GET, "/health").status == .serviceUnavailable)
    }

    @Test func `watchers above the number get no connection, and a gone one makes room`() {
        let desk = desk()
        for _ in 0..<ConsoleServer.connections { #expect(desk.enter()) }
        #expect(!desk.enter())
        desk.leave()
        #expect(desk.enter())
    }
}
