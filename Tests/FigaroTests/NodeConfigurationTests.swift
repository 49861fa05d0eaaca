import DNS
import Delivery
import Filtering
import Intake
import Mail
import NIOCore
import SMTP
import Testing

@testable import Figaro

/// The node's file as operators write it.
struct NodeConfigurationTests {
    private static let least = """
        hostname: relay.example
        spool: /tmp/spool
        listeners: [{ address: 127.0.0.1, port: 2525 }]
        customers: { acme: { networks: [127.0.0.1/32] } }

        """

    private func problems(with more: String) throws -> [String] {
        try decodeNode(Self.least + more).problems
    }

    private static let print = Array(repeating: "8F", count: 32).joined(separator: ":")

    private func certified(_ customers: String, tls: String = "starttls") throws -> (NodeConfiguration?, [String]) {
        let (node, problems) = try decodeNode(
            """
            hostname: relay.example
            spool: /tmp/spool
            listeners: [{ address: 127.0.0.1, port: 2525, tls: \(tls) }]
            tls: { certificates: [{ certificate: /dev/null, key: /dev/null }] }
            customers:
            \(customers)

            """)
        return (node, problems)
    }

    @Test func `a customer may be known by certificates, and then needs no network`() throws {
        let (node, problems) = try certified("  acme: { certificates: [\(Self.print)] }")
        #expect(problems == [])
        let acme = try #require(node?.intake.customers.first)
        #expect(acme.certificates.map(\.description) == [Self.print])
        #expect(acme.networks.isEmpty)
    }

    @Test func `load balancers are listed, and nobody lists everybody`() throws {
        func read(_ key: String, _ networks: String) throws -> (NodeConfiguration?, [String]) {
            let (node, problems) = try decodeNode(
                """
                hostname: relay.example
                spool: /tmp/spool
                listeners: [{ address: 127.0.0.1, port: 2525, \(key): \(networks) }]
                customers: { acme: { networks: [127.0.0.1/32] } }

                """)
            return (node, problems)
        }
        let (node, problems) = try read("xclient", "[192.0.2.12/32, 2001:db8::/64]")
        #expect(problems == [])
        #expect(node?.intake.listeners.first?.namers.count == 2)
        for key in ["xclient", "proxy_protocol"] {
            for everybody in ["0.0.0.0/0", "::/0"] {
                let found = try read(key, "[\"\(everybody)\"]").1
                #expect(found.count == 1 && found.first?.contains("anybody could be any customer") == true, "\(found)")
                #expect(found.first?.contains("listeners[0].\(key)[0]") == true, "\(found)")
            }
        }
    }

    @Test func `a fingerprint that is none is named with its place and the shape it should have`() throws {
        let bad = try certified("  acme: { certificates: [\(Self.print), AB:CD] }").1
        #expect(bad.count == 1)
        #expect(bad.first?.contains("customers.acme.certificates[1]") == true, "\(bad)")
        #expect(bad.first?.contains("“AB:CD” is not a SHA-256 fingerprint such as 8F:43:") == true, "\(bad)")
        let twice = try certified(
            "  acme: { certificates: [\(Self.print)] }\n  shop: { certificates: [\(Self.print.lowercased())] }"
        ).1
        #expect(twice.count == 1 && twice.first?.contains("belongs to customer acme already") == true, "\(twice)")
        let deaf = try certified("  acme: { certificates: [\(Self.print)] }", tls: "none").1
        #expect(deaf.first?.contains("customer acme is known by a certificate, but no listener has tls") == true)
        let without = try certified("  acme: { senders: [acme.example] }").1
        #expect(without.first?.contains("“networks” is missing") == true, "\(without)")
    }

    @Test func `the documented file is read`() throws {
        let (node, problems) = try decodeNode(
            """
            hostname: Relay.Example
            spool: spool
            control: /run/figaro/control.sock
            user: figaro
            listeners:
              - { address: 127.0.0.1, port: 2525, tls: none }
              - { address: "::1", port: 2526 }
            customers:
              acme: { networks: [127.0.0.1/32, 2001:db8::/48] }
            limits: { message_size: 50MB, recipients: 1000, connections: 4000, connections_per_client: 200,
                      line_length: 998, header_size: 256KB, hops: 50, errors: 20, command_timeout: 5m,
                      data_timeout: 3m, minimum_data_rate: 100B, minimum_disk_free: 200MB }
            delivery:
              schedule: [5m, 10m, 20m, 40m, 1h, 2h, 4h]
              jitter: 0.2
              max_age: 5d
              sessions: 1000
              sessions_per_site: 20
              session_lifetime: 30s
              session_idle: 5s
              recipients_per_transaction: 100
              window: 20000
              timeouts: { connect: 30s, banner: 5m, ehlo: 5m, mail: 5m, rcpt: 5m, data: 2m, block: 3m, dot: 10m }
              allow: [ "127.0.0.0/8:2526", "fd00::/8" ]
            dns: { servers: ["127.0.0.1:5353", "[::1]:5353", 192.0.2.53], timeout: 20s }
            ipmaps: ipmaps
            log: { level: info }

            """)
        #expect(problems == [])
        let read = try #require(node)
        #expect(read.hostname == "relay.example")
        #expect(read.spool.hasSuffix("/spool") && read.spool.hasPrefix("/"))
        #expect(read.ipmaps?.hasSuffix("/ipmaps") == true)
        #expect(read.control == "/run/figaro/control.sock")
        #expect(read.intake.listeners.map(\.port) == [2525, 2526])
        #expect(read.intake.customers.first?.networks.count == 2)
        #expect(read.intake.limits == Limits())
        #expect(read.intake.maxAge == .days(5))
        #expect(read.minimumDiskFree == 200 << 20)
        #expect(read.planner.schedule == PlannerConfiguration().schedule)
        #expect(read.session.deadlines.dot == .minutes(10))
        #expect(read.allow.map(\.port) == [2526, nil])
        #expect(read.resolver.servers == ["127.0.0.1:5353", "[::1]:5353", "192.0.2.53"])
    }

    @Test func `what contains a customer and a range is read, and bounded`() throws {
        let read = try #require(
            try decodeNode(
                Self.least
                    + "containment: { sources_per_site: 3, sources: 9, span: 2h, range_breaker: 4, probe_every: 30s }\n"
            ).0)
        #expect(read.planner.burns?.perSite == 3 && read.planner.burns?.inAll == 9)
        #expect(read.planner.burns?.span == .hours(2))
        #expect(read.planner.rangeBreaker == 4 && read.planner.probeInterval == .seconds(30))
        #expect(try problems(with: "containment: { range_breaker: 1 }\n").count == 1)
        #expect(try problems(with: "containment: { probe_every: 0s }\n").count == 1)
        #expect(try problems(with: "containment: { sources_per_site: 9, sources: 3 }\n").count == 1)
        let (other, _) = try decodeNode(
            Self.least + "containment: { burst: { recipients: 50, factor: 3, days: 2 } }\n")
        let burst = try #require(other).intake.burst
        #expect(burst.recipients == 50 && burst.factor == 3 && burst.days == 2)
        for wrong in ["{ recipients: 0 }", "{ factor: 0 }", "{ days: 14 }", "{ day: 3 }"] {
            #expect(try problems(with: "containment: { burst: \(wrong) }\n").count == 1, "\(wrong)")
        }
    }

    @Test func `a filter is read, with a customer's own scores`() throws {
        let (node, problems) = try decodeNode(
            """
            spool: /tmp/spool
            hostname: filter.example
            customers: { acme: { networks: [127.0.0.1/32], filter: { reject: 20.5, unavailable: hold } } }
            filter:
              nodes: ["127.0.0.1:11333", "[2001:db8::1]:11333"]
              clamd: [/run/clamd.ctl]
              deadline: 20s
              thresholds: { reject: 15, add_header: 6 }
              listen: [{ address: 127.0.0.1, port: 11340 }]

            """)
        let filter = try #require(node?.filter, "\(problems)")
        #expect(filter.nodes.map(\.description) == ["127.0.0.1:11333", "[2001:db8::1]:11333"])
        #expect(filter.clamd == [.socket("/run/clamd.ctl")] && filter.deadline == .seconds(20))
        #expect(filter.customers["acme"] == .init(thresholds: .init(reject: 20.5), unavailable: .hold))
        #expect(filter.thresholds.addHeader == 6)
        #expect(node?.intake.listeners == [], "a node that filters alone takes no mail")
    }

    @Test func `the built-in configuration is good`() {
        let problems = Problems()
        let node = NodeConfigurationFile.load(nil, problems)
        #expect(problems.list == [])
        #expect(node?.intake.listeners == [Listener(address: IPAddress(v4: 0x7F00_0001), port: 2525, tls: .none)])
    }

    @Test func `TLS without certificates is an error`() throws {
        let said = try decodeNode(Self.least.replacing("2525 }", with: "2525, tls: starttls }")).problems
        #expect(said.first?.contains("port 2525 has tls: starttls, but “tls” names no certificates") == true)
    }

    @Test func `certificates that are not there are named`() throws {
        let said = try problems(with: "tls: { certificates: [{ certificate: none.pem, key: none.key }] }\n")
        #expect(said.count == 2)
        #expect(said.first?.hasPrefix("relay.yaml:5:38: tls.certificates[0].certificate: ") == true)
        #expect(said.first?.contains("No such file or directory") == true)
    }

    @Test func `a customer that is everybody would be an open relay`() throws {
        let said = try decodeNode(Self.least.replacing("127.0.0.1/32", with: "0.0.0.0/0")).problems
        #expect(said.first?.contains("open relay") == true)
    }

    @Test func `a network belongs to one customer`() throws {
        let said = try decodeNode(
            Self.least.replacing("acme:", with: "a: { networks: [127.0.0.1/32] }, acme:")
        ).problems
        #expect(said.first?.contains("belongs to customer a already") == true)
    }

    @Test(arguments: [
        ("delivery: { schedule: [] }", "at least one entry"),
        ("delivery: { schedule: [6d] }", "longer than max_age"),
        ("delivery: { sessions: 10, sessions_per_site: 20 }", "more than sessions"),
        ("delivery: { max_age: 5 }", "expected a span"),
        ("delivery: { jitter: 2 }", "from 0.0 to 0.9"),
        ("delivery: { timeouts: { dott: 5m } }", "did you mean “dot”?"),
        ("delivery: { allow: [\"127.0.0.0/8:99999\"] }", "with or without a port"),
        ("limits: { recipients: 50 }", "from 100 to 100000"),
        ("limits: { message_size: 50 }", "expected a size"),
        ("limits: { connections: 10, connections_per_client: 20 }", "more than connections"),
        ("limits: { header_size: 32MB, message_size: 1MB }", "more than message_size"),
        ("dns: { servers: [\"ns.example\"] }", "a name server"),
        ("log: { level: loud }", "expected one of trace, debug"),
        ("filter: {}", "names neither “nodes” nor “clamd”"),
        ("filter: { nodes: [localhost] }", "a filter such as 192.0.2.20:11333"),
        ("filter: { clamd: [127.0.0.1] }", "a clamd such as"),
        ("filter: { nodes: [\"127.0.0.1:1\", \"127.0.0.1:1\"] }", "twice"),
        ("filter: { nodes: [\"127.0.0.1:1\"], unavailable: pass }", "tempfail, hold, accept"),
        ("filter: { nodes: [\"127.0.0.1:1\"], too_large: hold }", "reject, pass"),
        ("filter: { nodes: [\"127.0.0.1:1\"], deadline: 10m }", "must be from 1s to 4m"),
        ("filter: { nodes: [\"127.0.0.1:1\"], thresholds: { reject: 5, add_header: 6 } }", "nothing would be marked"),
        ("filter: { nodes: [\"127.0.0.1:1\"], listen: [{ address: 127.0.0.1, port: 1 }] }", "is this node itself"),
        ("history: { keep: 14 }", "a span such as"),
        ("history: { size: 10GiB }", "a size such as"),
        ("history: { keep: 0s }", "must be from 1s to 3650d"),
        ("history: { keeep: 14d }", "did you mean “keep”?"),
        ("control: /" + String(repeating: "x", count: 120), "the system allows 107"),
    ])
    func `contradictions and slips are refused`(text: String, expected: String) throws {
        let said = try problems(with: text + "\n")
        #expect(said.count == 1 && said[0].contains(expected), "\(said)")
    }

    @Test func `an address that this machine does not have is found by the machine's checks`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "relay.yaml",
            Self.least.replacing("address: 127.0.0.1", with: "address: 198.51.100.77")
                .replacing("/tmp/spool", with: "/proc/nowhere/spool") + "user: no-such-user-here\n")
        #expect {
            _ = try LoadedConfiguration.load(file)
        } throws: { error in
            let text = "\(error)"
            return text.contains("listeners[0].address: 198.51.100.77 cannot be bound")
                && text.contains("relay.yaml:5:7: user: there is no user")
        }
    }
}
