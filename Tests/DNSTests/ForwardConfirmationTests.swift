import Mail
import Testing

@testable import DNS

/// Whether addresses, their PTR records and their names agree.
struct ForwardConfirmationTests {
    private let subject = NamedAddress(
        address: IPAddress(v4: 0xCB00_7111), name: "Out-17.relay.example")

    private func records(_ records: [Lookup.Record]) -> Lookup { .records(records, ttl: 60, secure: false) }

    @Test func `reverse names are written as their RFCs have it`() throws {
        #expect(ForwardConfirmation.reverseName(of: IPAddress(v4: 0xCB00_7111)) == "17.113.0.203.in-addr.arpa")
        #expect(
            ForwardConfirmation.reverseName(of: try #require(IPAddress("4321:0:1:2:3:4:567:89ab")))
                == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa")
    }

    @Test func `a name that leads both ways is confirmed`() {
        let pointer = records([.pointer("other.example"), .pointer("out-17.relay.example")])
        #expect(ForwardConfirmation.fault(subject, pointer, records([.address(subject.address)])) == nil)
    }

    @Test func `what does not agree is named`() {
        let good = records([.address(subject.address)])
        func said(_ pointer: Lookup, _ forward: Lookup) -> String {
            ForwardConfirmation.fault(subject, pointer, forward) ?? ""
        }
        #expect(said(.noName(ttl: 60, secure: false), good) == "it has no PTR")
        #expect(
            said(records([.pointer("host-17.isp.example")]), good)
                == "its PTR is host-17.isp.example, not Out-17.relay.example")
        #expect(
            said(records([.pointer("out-17.relay.example")]), records([.address(IPAddress(v4: 1))]))
                == "Out-17.relay.example leads to 0.0.0.1")
        #expect(
            said(.failed("SERVFAIL"), .noData(ttl: 60, secure: false))
                == "its PTR cannot be asked for (SERVFAIL); Out-17.relay.example has no address")
    }

    @Test func `a pointer is read as a name is`() {
        #expect(RecordData.read([3, 111, 117, 116, 2, 65, 116, 0], as: .ptr) == .pointer("out.at"))
        #expect(RecordData.read([3, 111, 117], as: .ptr) == nil)
    }
}
