import Mail
import Testing

@testable import Intake

struct CurrentCustomersTests {
    private static func customer(_ name: String, _ networks: String...) -> Customer {
        Customer(name: name, networks: networks.compactMap(IPNetwork.init))
    }

    @Test
    func `what the file says counts, and what is kept of the same customer is added`() throws {
        var declared = Self.customer("acme", "192.0.2.0/24")
        declared.limits.sessions = 3
        var kept = Self.customer("acme", "198.51.100.0/24", "203.0.113.0/24")
        kept.limits.sessions = 9
        kept.isClosed = true
        let user = Credential(user: "app", password: .decoy, made: Timestamp(milliseconds: 0))
        kept.credentials = [user]
        let prints = try ["aa", "bb"].map {
            try #require(CertificateFingerprint(String(repeating: $0, count: 32)))
        }
        kept.certificates = prints
        var other = Self.customer("far", "203.0.113.0/24")
        other.certificates = [prints[1]]
        let joined = CurrentCustomers.joined([declared, other], [kept, Self.customer("shop", "192.0.2.0/24")])
        #expect(joined.map(\.name) == ["acme", "far", "shop"])
        let acme = try #require(joined.first)
        #expect(acme.limits.sessions == 3 && acme.credentials == [user] && acme.isClosed)
        #expect(acme.certificates == [prints[0]], "the other one is somebody else's")
        #expect(acme.networks.map(\.description) == ["192.0.2.0/24", "198.51.100.0/24"])
        #expect(joined[2].networks.isEmpty, "the file gave it to somebody else")
        let directory = CustomerDirectory(joined)
        #expect(directory.customer(at: try #require(IPAddress("203.0.113.9")))?.name == "far")
        #expect(directory.owner(of: "app")?.customer.limits.sessions == 3)
    }
}
