import Mail
import Testing

@testable import DNS

/// What a list's answers mean, and which lists are believed.
struct BlockListTests {
    private func reading(_ addresses: String...) -> BlockLists.Reading {
        BlockLists.reading(
            .records(addresses.compactMap { IPAddress($0) }.map { .address($0) }, ttl: 60, secure: false))
    }

    @Test func `a listing is told from a refusal and from somebody else's answer`() {
        #expect(reading("127.0.0.2") == .listed("127.0.0.2"))
        #expect(reading("127.0.0.4", "127.0.0.10") == .listed("127.0.0.4, 127.0.0.10"))
        #expect(reading("127.255.255.252") == .refused("127.255.255.252"))
        #expect(reading("203.0.113.9") == .failed("it says 203.0.113.9"))
        #expect(BlockLists.reading(.noName(ttl: 60, secure: false)) == .clean)
        #expect(BlockLists.reading(.noData(ttl: 60, secure: false)) == .clean)
        #expect(BlockLists.reading(.failed("SERVFAIL")) == .failed("SERVFAIL"))
    }

    @Test func `a list is believed that has its test entry and not the other one`() {
        func fault(_ listed: BlockLists.Reading, _ unlisted: BlockLists.Reading) -> String? {
            BlockLists.fault(of: "bl.example", listed, unlisted)
        }
        #expect(fault(.listed("127.0.0.2"), .clean) == nil)
        #expect(fault(.listed("127.0.0.2"), .listed("127.0.0.2"))?.contains("everything") == true)
        #expect(fault(.clean, .clean)?.contains("test entry") == true)
        #expect(fault(.refused("127.255.255.254"), .clean)?.contains("refuses") == true)
        #expect(fault(.failed("SERVFAIL"), .failed("SERVFAIL"))?.contains("SERVFAIL") == true)
        #expect(fault(.listed("127.0.0.2"), .failed("it says 203.0.113.9"))?.contains("203.0.113.9") == true)
    }

    @Test func `addresses are asked for backwards`() throws {
        #expect(try #require(IPAddress("192.0.2.99")).reversedLabels == "99.2.0.192")
        #expect(
            try #require(IPAddress("2001:db8:1:2:3:4:567:89ab")).reversedLabels
                == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2")
    }
}
