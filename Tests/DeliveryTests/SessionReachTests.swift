import Delivery
import Mail
import Testing

@Suite struct SessionReach {
    private func reach(_ allowed: String...) -> Reach {
        Reach(allowed: allowed.compactMap { Reach.Allowed($0) }, listeners: [], own: [])
    }

    private func forbids(_ reach: Reach, _ address: String, port: Int = 25) throws -> Bool {
        reach.forbids(try #require(IPAddress(address)), port: port) != nil
    }

    @Test(arguments: [
        "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "100.127.255.255", "169.254.1.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1", "::", "::1",
        "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
        "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1",
        "::10.0.0.1", "2001:db8::1", "100::1", "4000::1", "3fff::1",
    ])
    func `is not reached`(address: String) throws {
        #expect(try forbids(reach(), address))
    }

    @Test(arguments: [
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255", "::ffff:8.8.8.8",
        "2a00:1450:4001::1b", "2001:4860:4860::8888", "2003::1", "2606:4700::1111",
    ])
    func `is reached`(address: String) throws {
        #expect(try !forbids(reach(), address))
    }

    @Test func `the allow-list names network and port`() throws {
        let list = reach("127.0.0.0/8:2526", "10.1.0.0/16", "[fd00::/8]:25")
        #expect(try !forbids(list, "127.0.0.5", port: 2526))
        #expect(try forbids(list, "127.0.0.5", port: 25))
        #expect(try !forbids(list, "10.1.2.3", port: 4711))
        #expect(try forbids(list, "10.2.2.3", port: 25))
        #expect(try !forbids(list, "fd00::1", port: 25))
        #expect(try forbids(list, "fd00::1", port: 26))
    }

    @Test(arguments: [
        ("127.0.0.0/8:2526", true), ("10.0.0.1", true), ("::1", true), ("fd00::/8", true), ("[::1]:25", true),
        ("[::1]", true), ("", false), ("10.0.0.0/33", false), ("10.0.0.0/8:", false), ("10.0.0.0/8:0", false),
        ("10.0.0.0/8:65536", false), ("10.0.0.0/8:x", false), ("[::1", false), ("[::1]25", false),
        ("mx.example", false),
    ])
    func `an entry of the allow-list is read or refused`(text: String, isGood: Bool) {
        #expect((Reach.Allowed(text) != nil) == isGood)
    }

    @Test func `own listeners are never reached, whatever the list says`() throws {
        let everything = ["0.0.0.0/0", "::/0"].compactMap { Reach.Allowed($0) }
        func listening(_ address: String) throws -> Reach {
            let listener = Reach.Listener(address: try #require(IPAddress(address)), port: 2525)
            return Reach(allowed: everything, listeners: [listener], own: [try #require(IPAddress("198.51.100.7"))])
        }
        let one = try listening("127.0.0.1")
        #expect(try forbids(one, "127.0.0.1", port: 2525))
        #expect(try forbids(one, "::ffff:127.0.0.1", port: 2525))
        #expect(try forbids(one, "0.0.0.0", port: 2525))
        #expect(try !forbids(one, "127.0.0.1", port: 2526))
        #expect(try !forbids(one, "127.0.0.2", port: 2525))
        for wildcard in ["0.0.0.0", "::"] {
            let all = try listening(wildcard)
            for address in ["127.0.0.1", "127.9.9.9", "::1", "198.51.100.7", "0.0.0.0", "::"] {
                #expect(try forbids(all, address, port: 2525))
            }
            #expect(try !forbids(all, "198.51.100.8", port: 2525))
        }
    }

    @Test func `the machine's own addresses are known`() throws {
        #expect(LocalAddresses.all().contains(try #require(IPAddress("127.0.0.1"))))
    }
}
