import Foundation
import Testing

@testable import Figaro

/// `figaro top` as it looks.
struct TopTests {
    private static func report(sites: Int = 2, sources: Int = 2, name: String = "mx.example") -> TopReport {
        TopReport(
            time: "2026-01-01T00:00:00.000Z", seconds: 2, accepted: 1_234.4, octets: 5_000_000, delivered: 99.96,
            deferred: 0.5, failed: 0,
            sites: (0..<sites).map {
                TopReport.Site(
                    name: "\($0).\(name)", delivered: Double(sites - $0), deferred: 0, failed: 0, sessions: 3,
                    waiting: 7,
                    blocked: $0 == 0 ? "suspended" : nil)
            },
            sources: (0..<sources).map {
                TopReport.Source(
                    name: "vienna-\($0)", address: "203.0.113.\($0)", delivered: 1, refused: 0, sessions: 1,
                    state: "active")
            },
            refusals: [TopReport.Refusal(cause: "greylist", rate: 3.25)],
            relays: [RelayStanding(name: "provider", works: 12, oldestSeconds: 7_500, blocked: "refused")],
            queueMessages: 12,
            inFlight: 9, waiting: 3, held: 1, oldest: nil, oldestSeconds: 93_784, sessionsIn: 4, busy: 1, idle: 2,
            opening: 3, blockedSites: 1,
            heldCustomers: 0,
            sourcesUsable: 250, sourcesOff: 4, memory: 69_206_016, commits: 10, commitMilliseconds: 1.25)
    }

    @Test func `numbers are short`() {
        #expect(
            [0, 0.04, 0.05, 0.5, 12.34, 99.96, 100, 1_234.5].map(TopScreen.rate)
                == ["0", "0", "0.1", "0.5", "12.3", "100", "100", "1235"])
        #expect(TopScreen.rate(.infinity) == "?" && TopScreen.rate(1e300) == "?")
        #expect(
            [0, 1_023, 1_536, 69_206_016, 3 << 30].map(TopScreen.size) == ["0 B", "1023 B", "1.5 KB", "66 MB", "3 GB"])
        #expect([0, 7, 63, 7_500, 93_784].map(TopScreen.age) == ["0s", "7s", "1m 3s", "2h 5m", "1d 2h"])
    }

    @Test(arguments: [(80, 24), (200, 60), (20, 8), (1, 1), (40, 0)])
    func `a screen never holds more than the terminal`(width: Int, height: Int) {
        let lines = TopScreen(report: Self.report(sites: 50, sources: 50)).lines(width: width, height: height)
        #expect(lines.count <= max(1, height) && lines.allSatisfy { $0.count <= width })
        guard height >= 24 else { return }
        #expect(lines.contains { $0.hasPrefix("relays    provider 12 waiting since 2h 5m, NOT NOW: refused") })
        #expect(lines.contains { $0.hasPrefix("0.mx.example") } && lines.contains { $0.hasPrefix("vienna-0") })
    }

    @Test func `what receivers are called cannot disturb a terminal`() {
        let lines = TopScreen(report: Self.report(name: "\u{1B}[2J\u{9B}x\r\n.example")).lines(width: 200, height: 40)
        #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 32 && !(127...159).contains($0.value) } })
    }

    @Test func `what is in flight is not called deferred`() {
        let lines = TopScreen(report: Self.report()).lines(width: 200, height: 40)
        #expect(lines.contains { $0.hasPrefix("queue     12 messages, 9 in flight, 3 waiting, 1 held; oldest 1d 2h") })
        #expect(!lines.contains { $0.hasPrefix("queue") && $0.contains("deferred") })
    }

    @Test func `one line tells the same where there is no screen`() {
        let line = TopScreen(report: Self.report()).line
        #expect(
            line.hasPrefix(
                "2026-01-01T00:00:00.000Z accepted=1234 delivered=100 deferred=0.5 failed=0 queue=12 inflight=9 "))
        #expect(line.contains(" inflight=9 waiting=3 held=1 "))
        #expect(line.hasSuffix("memory=66 MB greylist=3.3"))
    }

    @Test func `the busiest names are told apart, and there are never more of them`() {
        var names = BusiestNames(limit: 3)
        for name in ["a", "b", "c"] { #expect(names.note(name).isIn) }
        for _ in 0..<5 { #expect(names.note("a").isIn && names.note("b").isIn) }
        for index in 0..<10_000 { #expect(!names.note("once-\(index)").isIn) }
        #expect(names.note("a").isIn, "crowds of strangers push nobody out")
        var gone: [String] = []
        for _ in 0..<100 { if let name = names.note("new").gone { gone.append(name) } }
        #expect(gone == ["c"] && names.note("new").isIn && !names.note("c").isIn)
        for _ in 0..<1_000 { _ = names.note("a") }
        for _ in 0..<300_000 { _ = names.note("later") }
        #expect(names.note("later").isIn, "what was busy long ago gives way")
    }
}
