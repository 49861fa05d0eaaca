import Mail
import Testing

@testable import Intake

struct ProxyHeaderTests {
    private let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    private func block(_ command: UInt8, _ family: UInt8, _ addresses: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? addresses.count
        return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + addresses
    }

    @Test
    func `a line says whose the connection is, and what follows is the client's`() throws {
        let header = Array("PROXY TCP4 192.0.2.1 198.51.100.2 4000 25\r\n".utf8)
        let client = try #require(IPAddress("192.0.2.1"))
        #expect(ProxyHeader.read(header + Array("EHLO x\r\n".utf8)) == .client(client, length: header.count))
        for length in 0..<header.count { #expect(ProxyHeader.read(header.prefix(length)) == .incomplete) }
        let six = Array("PROXY TCP6 2001:db8::1 2001:db8::2 4000 25\r\n".utf8)
        #expect(ProxyHeader.read(six) == .client(IPAddress("2001:db8::1"), length: six.count))
        let unknown = Array("PROXY UNKNOWN\r\n".utf8)
        #expect(ProxyHeader.read(unknown) == .client(nil, length: unknown.count))
    }

    @Test(arguments: [
        "EHLO x\r\n", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY \r\n",
        "PROXY TCP4 " + String(repeating: "1", count: 200),
    ])
    func `everything else is turned away`(_ text: String) {
        #expect(ProxyHeader.read(Array(text.utf8)) == .invalid)
    }

    @Test
    func `the binary form says it too`() {
        let four = block(0x21, 0x11, [192, 0, 2, 1, 198, 51, 100, 2, 15, 160, 0, 25])
        #expect(ProxyHeader.read(four + [69]) == .client(IPAddress("192.0.2.1"), length: four.count))
        for length in 0..<four.count { #expect(ProxyHeader.read(four.prefix(length)) == .incomplete) }
        let address: [UInt8] = [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        let six = block(0x21, 0x21, address + address + [0, 1, 0, 25] + [4, 0, 1, 0])
        #expect(ProxyHeader.read(six) == .client(IPAddress("2001:db8::1"), length: six.count))
        let check = block(0x20, 0, [])
        #expect(ProxyHeader.read(check) == .client(nil, length: 16))
        for wrong in [
            block(0x11, 0x11, [1]), block(0x22, 0x11, [1]), block(0x21, 0x11, [1, 2, 3]),
            block(0x21, 0x12, [UInt8](repeating: 0, count: 12)), block(0x21, 0x31, [UInt8](repeating: 0, count: 216)),
            block(0x21, 0x11, [], length: 65_535),
        ] {
            #expect(ProxyHeader.read(wrong) == .invalid)
        }
    }
}
