import Delivery
import Foundation
import Logging
import Mail
import RelayTesting
import Synchronization
import Testing

@testable import Figaro

/// What operators said, as it is kept and as it is asked for.
struct SteeringTests {
    private let folder: TemporaryFolder
    private let time = ManualTime()
    private let logger = Logger(label: "steering") { _ in SwiftLogNoOpLogHandler() }

    init() throws { folder = try TemporaryFolder() }

    private func order(_ reason: String, for span: Timestamp.Span? = nil) -> StandingOrders.Order {
        StandingOrders.Order(by: "root (uid 0)", reason: reason, since: time.now(), until: span.map { time.now() + $0 })
    }

    private func book(_ apply: @escaping @Sendable (StandingOrders) -> Void = { _ in }) throws -> SteeringBook {
        try SteeringBook(file: SteeringFile(spool: folder.path), time: time, logger: logger, apply: apply)
    }

    @Test func `neighbouring addresses are one run`() throws {
        let addresses = ["203.0.113.4", "203.0.113.6", "203.0.113.5", "203.0.113.9", "2001:db8::1"]
            .compactMap { IPAddress($0) }
        let runs = AddressRun.runs(of: addresses)
        #expect(runs.map(\.description) == ["203.0.113.4-203.0.113.6", "203.0.113.9", "2001:db8::1"])
        #expect(runs.flatMap(Array.init) == addresses.sorted())
        #expect(try Array(#require(AddressRun("255.255.255.254-255.255.255.255"))).count == 2)
        for text in ["", "-", "203.0.113.9-203.0.113.4", "a-b", "10.0.0.0-11.0.0.0", "::-ffff::", "1.2.3.4-"] {
            #expect(AddressRun(text) == nil, "\(text)")
        }
    }

    @Test func `orders are there after a restart, also for a whole range`() throws {
        let first = try book()
        let all = try #require(AddressRun("10.0.0.0-10.0.255.255"))
        try first.change { orders, _ in
            for address in all {
                orders.holds[address] = StandingOrders.Hold(kind: .draining, order: order("router \"x\"\nline"))
            }
            orders.suspensions["google"] = order("asked", for: .hours(1))
        }
        let seen = Mutex(StandingOrders())
        let second = try book { orders in seen.withLock { $0 = orders } }
        #expect(second.current == first.current && second.current.holds.count == 65_536)
        #expect(seen.withLock { $0 } == first.current)
        let size = try Data(contentsOf: URL(filePath: folder.path + "/steering.json")).count
        #expect(size < 1_000, "a run, not 65,536 addresses")
        var status = stat()
        #expect(stat(folder.path + "/steering.json", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func `what is over is neither in force nor read again`() throws {
        let first = try book()
        try first.change { orders, _ in orders.suspensions["a.example"] = order("x", for: .seconds(3)) }
        time.advance(.seconds(3))
        #expect(first.current.isEmpty)
        first.noticeEnds()
        #expect(try book().current.isEmpty)
    }

    @Test func `where it cannot be written nothing changes`() throws {
        let applied = Atomic(0)
        let book = try book { _ in applied.add(1, ordering: .relaxed) }
        #expect(mkdir(folder.path + "/steering.json.new", 0o700) == 0)
        #expect(throws: SteeringFile.Fault.self) {
            try book.change { orders, _ in orders.suspensions["a.example"] = order("x") }
        }
        #expect(book.current.isEmpty && applied.load(ordering: .relaxed) == 1)
    }

    @Test(arguments: [
        "", "{", "[]", #"{"version":2,"holds":[],"suspensions":[]}"#,
        #"{"version":1,"holds":[{"kind":"lost","order":{"by":"","reason":"","since":1},"addresses":[]}],"#
            + #""suspensions":[]}"#,
        #"{"version":1,"holds":[{"kind":"draining","order":{"by":"","reason":"","since":1},"addresses":["x"]}],"#
            + #""suspensions":[]}"#,
    ])
    func `a damaged file is an error that says what to do`(text: String) throws {
        try folder.write("steering.json", text)
        #expect {
            _ = try book()
        } throws: {
            "\($0)".hasPrefix(folder.path + "/steering.json is damaged; mend it, or remove it")
        }
    }

    @Test func `an order needs a reason and a sane span`() throws {
        let now = time.now()
        func asked(_ reason: String?, _ span: Int64?) -> Result<StandingOrders.Order, RefusedOrder> {
            StandingOrders.Order.asked(reason, span: span, by: "me", at: now)
        }
        #expect(try asked(" two\n lines ", 2_000).get().reason == "two lines")
        #expect(try asked("x", 2_000).get().until == now + .seconds(2))
        #expect(try asked("x", nil).get().until == nil)
        for (reason, span) in [
            (nil, nil), (" ", nil), (String(repeating: "x", count: 501), nil), ("x", 0), ("x", -5), ("x", .max),
        ] as [(String?, Int64?)] {
            #expect(throws: RefusedOrder.self) { try asked(reason, span).get() }
        }
    }

    @Test func `sources are found by address, network, name, range and pool`() throws {
        let (map, problems) = try expand([
            "a.yaml": """
            ranges:
              vienna: { cidr: 203.0.113.0/29, ehlo: "out-{4}.relay.example" }
              graz: { cidr: 198.51.100.0/30, ehlo: "out-{4}.graz.example" }
            pools:
              main: { members: [vienna] }
              graz: { members: [graz, vienna-1] }
            routes: { default: { steps: [pool main/4] } }
            """
        ])
        #expect(problems == [])
        let names = SourceNames(try #require(map), strays: [IPAddress(v4: 0x0102_0304)])
        #expect(try names.addresses(["203.0.113.0/30"]).count == 4)
        #expect(try names.addresses(["203.0.113.5"]).map(\.description) == ["203.0.113.5"])
        #expect(try names.addresses(["vienna-5", "203.0.113.5"]).map(\.description) == ["203.0.113.5"])
        #expect(try names.addresses(["main"]).count == 8)
        #expect(try names.addresses(["range:graz"]).count == 4)
        #expect(try names.addresses(["pool:graz"]).count == 5)
        #expect(try names.addresses(["1.2.3.4"]).count == 1, "an order about what the map no longer has")
        for (word, said) in [
            ("graz", "graz is a range and a pool; say range:graz or pool:graz"),
            ("vienn", "no source, range or pool is called “vienn”, did you mean “vienna”?"),
            ("192.0.2.0/24", "no source of the ip map has the address 192.0.2.0/24"),
            ("pool:main2", "no pool is called “main2”, did you mean “main”?"),
        ] {
            let error = #expect(throws: SourceNames.Unknown.self) { try names.addresses([word]) }
            #expect(error?.description == said)
        }
    }

    @Test func `what only a start reads is named`() throws {
        let text = """
            hostname: relay.example
            spool: /tmp/spool
            listeners: [{ address: 127.0.0.1, port: 2525 }]
            customers: { acme: { networks: [127.0.0.1/32] } }

            """
        let old = try #require(try decodeNode(text).node)
        let same = try #require(
            try decodeNode(text + "limits: { message_size: 5MB }\ndelivery: { sessions: 50 }\n").node)
        #expect(old.keysAtRestart(same) == [])
        let other = try #require(
            try decodeNode(
                text.replacing("2525", with: "2526")
                    + "dns: { timeout: 5s }\nlog: { level: debug }\nmetrics: { port: 9125 }\n"
            ).node)
        #expect(old.keysAtRestart(other) == ["listeners", "dns", "metrics", "log"])
    }

    @Test func `a reload tells the service manager its time`() {
        #expect(ServiceManager.text(of: .ready) == "READY=1")
        let lines = ServiceManager.text(of: .reloading).split(separator: "\n")
        #expect(lines.first == "RELOADING=1")
        #expect(lines.last.flatMap { Int($0.dropFirst("MONOTONIC_USEC=".count)) } ?? 0 > 0)
    }
}
