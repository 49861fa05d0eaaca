import Delivery
import Filtering
import Foundation
import Intake
import Mail
import Testing

@testable import Figaro

/// Accounts that are kept, as records and beside what the files declare.
struct AccountTests {
    private func loaded(_ customers: String, routes: [String: IPMap.Route] = [:]) throws -> LoadedConfiguration {
        let (node, problems) = try decodeNode(
            """
            hostname: relay.example
            spool: /tmp/spool
            listeners: [{ address: 127.0.0.1, port: 2525 }]
            customers:
            \(customers)

            """)
        #expect(problems == [])
        var read = try #require(node)
        read.file = "relay.yaml"
        var ipmap = try #require(IPMapFolder.load(nil, hostName: "relay.example", Problems()))
        ipmap.map.routes.merge(routes) { _, new in new }
        return LoadedConfiguration(
            node: read, ipmap: ipmap, rules: try #require(ReplyRuleFile.load(nil, Problems())), texts: [:])
    }

    @Test
    func `a record makes a customer with its filter policy, open or closed`() throws {
        var record = AccountRecord()
        record.filter = ["reject": "12.5", "add_header": "4", "unavailable": "hold", "too_large": "pass", "new": "x"]
        let customer = try record.customer("acme")
        let policy = try #require(customer.filter)
        #expect(policy.thresholds == Filtering.Configuration.Thresholds(reject: 12.5, addHeader: 4))
        #expect(policy.unavailable == .hold && policy.tooLarge == .pass && !customer.isClosed)
        #expect(
            FilterRule.values(of: policy)
                == ["reject": "12.5", "add_header": "4", "unavailable": "hold", "too_large": "pass"])
        record.closed = AccountRecord.Closure(by: "root", reason: "unpaid", since: 0)
        #expect(try record.customer("acme").isClosed)
    }

    @Test
    func `a record of an earlier version is read, and one of this version comes back as it was`() throws {
        let old = #"{"limits":{"sessions":3},"logins":[],"networks":["192.0.2.0/24"]}"#
        var record = try JSONDecoder().decode(AccountRecord.self, from: Data(old.utf8))
        #expect(record.route == nil && record.filter == nil && record.closed == nil)
        record.route = "premium"
        record.filter = ["reject": "5"]
        record.closed = AccountRecord.Closure(by: "root", reason: "unpaid", since: 1_795_341_087_000)
        let back = try JSONDecoder().decode(AccountRecord.self, from: JSONEncoder().encode(record))
        #expect(back == record)
    }

    @Test(arguments: [
        ("reject", "12", "12"), ("reject", "0.5", "0.5"), ("add_header", "1e2", "100"), ("reject", "-1", nil),
        ("reject", "nan", nil), ("reject", "1e9", nil), ("unavailable", "hold", "hold"), ("unavailable", "drop", nil),
        ("too_large", "pass", "pass"), ("too_large", "", nil),
    ])
    func `values about filters are checked`(_ name: String, _ text: String, _ kept: String?) throws {
        #expect(try #require(FilterRule(rawValue: name)).value(text) == kept)
    }

    @Test
    func `what file and spool both say is named with its line and what counts`() throws {
        let customers = """
              acme: { networks: [192.0.2.0/24] }
              far:
                networks:
                  - 203.0.113.0/24
                  - 198.51.100.0/24
            """
        var acme = AccountRecord()
        acme.logins = [AccountRecord.Login(user: "app1", password: "", made: 0)]
        acme.closed = AccountRecord.Closure(by: "root", reason: "unpaid", since: 0)
        acme.route = "gone too"
        var shop = AccountRecord()
        shop.networks = ["198.51.100.0/24", "192.0.2.128/25"]
        shop.route = "premiun"
        let accounts = ["acme": acme, "shop": shop]
        let warnings = try loaded(customers, routes: ["premium": []]).conflicts(with: accounts)
        #expect(warnings.count == 3)
        #expect(warnings[0].hasPrefix("relay.yaml:5:9: customers.acme: the spool keeps an account of this name"))
        #expect(warnings[0].contains("logins (app1)") && warnings[0].contains("stays closed by root: unpaid"))
        #expect(
            warnings[1].hasPrefix("relay.yaml:9:9: customers.far.networks[1]: 198.51.100.0/24 is kept in the"))
        #expect(warnings[1].hasSuffix("customer shop as well; the file counts, so that it belongs to far"))
        #expect(warnings[2].hasPrefix("customer shop: its route “premiun” is in no ip map, did you mean “premium”?"))
        #expect(try loaded("  acme: { networks: [192.0.2.1/32] }").conflicts(with: [:]).isEmpty)
    }
}
