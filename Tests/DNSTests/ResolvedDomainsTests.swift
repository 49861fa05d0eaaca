import NIOCore
import Testing

@testable import DNS

@Suite struct ResolvedDomainsTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func no(_ lifetime: Int) -> HostLookup.Resolved {
        HostLookup.Resolved(.never(.nullMX), lifetime: lifetime)
    }

    @Test func `an entry is found until its time is over`() {
        let cache = ResolvedDomains(capacity: 10)
        cache.keep(no(60), for: "a.example", at: start)
        #expect(cache.find("a.example", at: start + .seconds(59)) != nil)
        #expect(cache.find("a.example", at: start + .seconds(60)) == nil)
        #expect(cache.find("b.example", at: start) == nil)
        cache.keep(no(60), for: "a.example", at: start + .seconds(60))
        #expect(cache.find("a.example", at: start + .seconds(61)) != nil)
        #expect(cache.count == 1)
    }

    @Test func `the bound holds, and what is asked for stays`() {
        let cache = ResolvedDomains(capacity: 100)
        cache.keep(no(600), for: "busy.example", at: start)
        for number in 0..<10_000 {
            #expect(cache.find("busy.example", at: start) != nil)
            cache.keep(no(600), for: "\(number).example", at: start)
        }
        #expect(cache.count == 100)
        #expect(cache.find("9999.example", at: start) != nil)
        #expect(cache.find("0.example", at: start) == nil)
    }
}
