import Delivery
import Foundation
import Mail
import Testing

@testable import Figaro

/// `ipmaps/` as operators write them.
struct IPMapTests {
    @Test func `every map that ships is good on any machine`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = root.appending(path: "ipmaps").path
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let (map, problems) = try expand([name: String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)])
            #expect(problems == [])
            let sources = try #require(map).sources
            #expect(!sources.isEmpty)
            for described in sources { #expect(SourceBinding.fault(described.source.address) == nil) }
        }
    }

    @Test func `a network becomes its addresses but the excluded, numbered by their place`() throws {
        let (map, problems) = try expand([
            "a.yaml": """
            ranges:
              vienna:
                cidr: 203.0.113.0/24
                exclude: [203.0.113.0, 203.0.113.255, 203.0.113.16/30]
                ehlo: out-{4}.{3}.Vienna.relay.example
            """
        ])
        #expect(problems == [])
        let pool = try #require(map?.map.pools["main"])
        #expect(pool.sources.count == 250)
        #expect(
            pool.sources.first
                == Source(
                    name: "vienna-1", address: IPAddress(v4: 0xCB00_7101), ehlo: "out-1.113.vienna.relay.example"))
        #expect(!pool.sources.contains { $0.name == "vienna-17" })
        #expect(pool.sources.contains { $0.name == "vienna-20" })
        #expect(map?.map.routes["default"]?.steps == [IPMap.Step(pool: "main", budget: 4)])
    }

    @Test func `IPv6 takes one address of each subnet`() throws {
        let (map, problems) = try expand([
            "a.yaml": """
            ranges:
              six: { cidr: "2001:db8:7700::/48", one_per: 64, count: 256, ehlo: "out6-{index}.relay.example" }
              few: { cidr: "2001:db8::/126", ehlo: "{dashed}.relay.example" }
            """
        ])
        #expect(problems == [])
        let sources = try #require(map).sources.map(\.source)
        #expect(sources.count == 260)
        #expect(sources[255].address.description == "2001:db8:7700:ff::1")
        #expect(sources[255].ehlo == "out6-255.relay.example")
        #expect(sources[259].ehlo == "2001-db8-0-0-0-0-0-3.relay.example")
    }

    @Test func `interface any is never empty, and an interface gives what it has`() throws {
        let (map, problems) = try expand([
            "a.yaml": "ranges: { all: { interface: any }, lo: { interface: lo, ehlo: \"lo-{index}.relay.example\" } }"
        ])
        #expect(problems == [])
        let sources = try #require(map).sources
        #expect(sources.contains { $0.range == "all" && $0.source.ehlo == "relay.example" })
        #expect(sources.contains { $0.source.address.description == "127.0.0.1" })
    }

    @Test func `a disabled source stays on the list and out of the pool`() throws {
        let (map, problems) = try expand([
            "a.yaml": """
            ranges: { v: { cidr: 192.0.2.0/30, ehlo: "o{4}.example" } }
            sources: { v-2: { state: disabled, reason: ticket 4711 }, v-3: { state: warming } }
            pools: { main: { members: [v], minimum_active: 4, cooldown: [30m, 1h] } }
            routes: { default: { steps: [pool main/2] } }
            sites: { Partner.example: { host: mx.partner.example, port: 2525, tls: required },
                     other.example: { host: 192.0.2.9 } }
            """
        ])
        #expect(problems == [])
        let expanded = try #require(map)
        #expect(expanded.sources.count == 4)
        #expect(expanded.map.pools["main"]?.sources.map(\.name) == ["v-0", "v-1", "v-3"])
        #expect(expanded.warnings == ["pool main: 3 sources may send, minimum_active is 4"])
        #expect(
            expanded.map.sites["partner.example"]
                == IPMap.FixedSite(host: "mx.partner.example", port: 2525, tls: .required))
        #expect(
            expanded.map.sites["other.example"] == IPMap.FixedSite(host: "192.0.2.9", port: 25, tls: .opportunistic))
    }

    @Test func `files are merged, and a name defined twice names both places`() throws {
        let one = "ranges: { a: { cidr: 192.0.2.0/31, ehlo: \"a{4}.example\" } }\n"
        let two = "ranges: { b: { cidr: 192.0.2.2/31, ehlo: \"b{4}.example\" } }\n"
        #expect(try expand(["1.yaml": one, "2.yaml": two]).map?.sources.count == 4)
        let twice = try expand(["1.yaml": one, "2.yaml": one]).problems
        #expect(twice == ["2.yaml:1:11: ranges.a: is defined twice; the first is in 1.yaml:1"])
    }

    @Test(arguments: [
        ("ranges: { v: { cidr: 10.0.0.0/8, ehlo: \"o{4}.example\" } }", "more than 65536 addresses"),
        ("ranges: { v: { cidr: \"2001:db8::/48\", ehlo: \"o{index}.example\" } }", "more than 65536 members"),
        ("ranges: { v: { cidr: \"2001:db8::/62\", one_per: 64, count: 9, ehlo: \"o.example\" } }", "has only 4"),
        ("ranges: { v: { cidr: \"2001:db8::/62\", one_per: 48, ehlo: \"o.example\" } }", "from 62 to 128"),
        ("ranges: { v: { cidr: \"2001:db8::/126\", ehlo: \"o{4}.example\" } }", "octet of an IPv4 address"),
        ("ranges: { v: { cidr: 192.0.2.0/31, one_per: 32, ehlo: \"o.example\" } }", "is for IPv6"),
        ("ranges: { v: { cidr: 192.0.2.0/31, ehlo: \"o_{4}.example\" } }", "not a letter, digit or hyphen"),
        ("ranges: { v: { cidr: 192.0.2.0/31, ehlo: \"o{5}.example\" } }", "{5} is none of"),
        ("ranges: { v: { cidr: 192.0.2.0/31 } }", "“ehlo” is missing"),
        ("ranges: { v: { cidr: 192.0.2.0/31, exclude: [192.0.3.0], ehlo: \"o.example\" } }", "does not lie in"),
        ("ranges: { v: { cidr: 192.0.2.0/31, exclude: [192.0.2.0/31], ehlo: \"o.example\" } }", "no address left"),
        ("ranges: { v: { ehlo: \"o.example\" } }", "needs “cidr”"),
        ("ranges: { v: { interface: nowhere0 } }", "is not up or has no address"),
        ("ranges: { v: { interface: lo, cidr: 192.0.2.0/31 } }", "does not go with “interface”"),
        ("ranges: { v: { interface: lo, node: relay-1 } }", "come with the cluster"),
        ("ranges: { \"v w\": { interface: lo } }", "a name consists of"),
        ("ranges: { v: { interface: lo } }\nsources: { w-1: { state: active } }", "no such source"),
        ("ranges: { v: { interface: lo } }\nsources: { v-1: { state: asleep } }", "expected one of new, warming"),
        ("ranges: { v: { interface: lo } }\npools: { main: { members: [w] } }", "no range or source of this name"),
        ("ranges: { v: { interface: lo } }\npools: { main: { members: [v, v-1] } }", "is a member already"),
        ("ranges: { v: { interface: lo } }\npools: { main: { members: [] } }", "at least one entry"),
        ("ranges: { v: { interface: lo } }\nroutes: { default: { steps: [pool other/1] } }", "no pool “other”"),
        ("ranges: { v: { interface: lo } }\nroutes: { default: { steps: [pool main] } }", "expected a step such as"),
        ("ranges: { v: { interface: lo } }\nroutes: { default: { steps: [pool main/0] } }", "from 1 to 1000"),
        (
            "ranges: { v: { interface: lo } }\nroutes: { default: { steps: [pool main/1, relay provider/24h] } }",
            "no relay “provider”"
        ),
        ("ranges: { v: { interface: lo } }\nsites: { a.example: { host: b.example, port: 0 } }", "from 1 to 65535"),
        ("ranges: { v: { interface: lo } }\nsites: { a.example: { host: b.example, tls: yes } }", "opportunistic"),
        ("pools: { main: { members: [v] } }", "no range or source of this name"),
        ("sites: { a.example: { host: b.example } }", "no range is declared"),
        ("range: { v: { interface: lo } }", "did you mean “ranges”?"),
        (
            "ranges: { v: { cidr: 192.0.2.0/31, ehlo: o.example }, w: { cidr: 192.0.2.0/31, ehlo: o.example } }",
            "is already a source, v-0 of v"
        ),
    ])
    func `what is wrong in a map is named`(text: String, expected: String) throws {
        let (map, problems) = try expand(["a.yaml": text])
        #expect(map == nil)
        #expect(problems.contains { $0.contains(expected) }, "\(problems)")
    }

    @Test func `a folder without maps is an error`() throws {
        #expect(try expand([:]).problems.first?.contains("no *.yaml file") == true)
        #expect(try expand(["a.yml": "ranges: {}"]).problems.first?.contains("Rename it") == true)
    }
}
