import Delivery
import Mail
import Testing

@testable import Figaro

/// `sites:` of an ipmap.
struct SiteFileTests {
    private static let range = "ranges: { v: { cidr: 192.0.2.0/30, ehlo: \"o{4}.example\" } }\n"

    @Test func `limits of a domain, of a fixed way and of a receiver`() throws {
        let (map, problems) = try expand([
            "a.yaml": Self.range,
            "b.yaml": """
            sites:
              Small.example: { sessions: 2, messages_per_session: 5, rate: 60/m }
              partner.example: { host: 192.0.2.9, rate: 1000/h }
              big: { mx: [big.example, Other.example], sessions: 7 }
            """,
        ])
        #expect(problems == [])
        let rules = try #require(map).map.rules
        #expect(
            rules.prefix(3) == [
                SiteRule(
                    name: "small.example",
                    limits: SiteLimits(
                        sessions: 2, messagesPerSession: 5, rate: SiteLimits.Rate(messages: 60, per: .minutes(1)))),
                SiteRule(
                    name: "partner.example",
                    limits: SiteLimits(rate: SiteLimits.Rate(messages: 1_000, per: .hours(1)))),
                SiteRule(name: "big", hosts: ["big.example", "other.example"], limits: SiteLimits(sessions: 7)),
            ])
        #expect(map?.map.sites.keys.sorted() == ["partner.example"])
    }

    @Test func `well-known receivers have limits, which an entry of the same name replaces`() throws {
        let builtIn = try #require(try expand(["a.yaml": Self.range]).map).map.rules
        #expect(Set(builtIn.map(\.name)).isSuperset(of: ["google", "outlook", "office365", "yahoo", "apple"]))
        #expect(builtIn.allSatisfy { !$0.hosts.isEmpty })
        let named = Dictionary(grouping: builtIn.flatMap(\.hosts)) { $0 }
        #expect(named.allSatisfy { $0.value.count == 1 }, "a host has one provider")
        let office = try #require(builtIn.first { $0.name == "office365" })
        let families: Set = ["mail.protection.outlook.com", "mx.microsoft"]
        #expect(families.isSubset(of: office.hosts), "tenants share what is known, with DANE or without")
        let text = Self.range + "sites: { google: { mx: [google.com], sessions: 99 } }"
        let own = try #require(try expand(["a.yaml": text]).map).map.rules.filter { $0.name == "google" }
        #expect(own.map(\.limits) == [SiteLimits(sessions: 99)])
        let report = IPMapReport(try #require(try expand(["a.yaml": text]).map))
        #expect(report.lines.contains { $0.contains("99 sessions") })
    }

    @Test(arguments: [
        ("x.example: { sessions: 0 }", "from 1 to 100000"),
        ("x.example: { messages_per_session: many }", "from 1 to 10000"),
        ("x.example: { rate: 100 }", "a rate such as 100/s"),
        ("x.example: { rate: 100/w }", "a rate such as 100/s"),
        ("x.example: { rate: 0/s }", "a rate such as 100/s"),
        ("x.example: { rate: -1/s }", "a rate such as 100/s"),
        ("x.example: { rate: 99999999999999999999/s }", "a rate such as 100/s"),
        ("x.example: { sessoins: 2 }", "did you mean “sessions”?"),
        ("x.example: {}", "“host” is missing"),
        ("x.example: { port: 25 }", "goes with “host” only"),
        ("x.example: { tls: required, sessions: 1 }", "goes with “host” only"),
        ("google: { sessions: 2, host: mx.example, mx: [google.com] }", "does not go with “mx”"),
        ("google: { mx: [], sessions: 1 }", "at least one entry"),
        ("google: { mx: [\"*.google.com\"], sessions: 1 }", "is not a valid host name"),
        ("\"goo gle\": { mx: [google.com], sessions: 1 }", "a name consists of"),
        ("\"goo gle\": { sessions: 1 }", "is not a valid domain"),
        (
            "one: { mx: [a.example], sessions: 1 }, two: { mx: [a.example], sessions: 2 }",
            "has limits already, in a.yaml:2"
        ),
        ("x.example: { sessions: 1 }, X.example: { sessions: 2 }", "is defined twice"),
    ])
    func `what is wrong in a site is named with file, line and key`(_ site: String, expected: String) throws {
        let (map, problems) = try expand(["a.yaml": Self.range + "sites: { \(site) }\n"])
        #expect(map == nil)
        #expect(problems.contains { $0.hasPrefix("a.yaml:2:") && $0.contains(expected) }, "\(problems)")
    }
}
