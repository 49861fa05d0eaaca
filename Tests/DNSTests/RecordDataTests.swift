import Mail
import Testing

@testable import DNS

@Suite struct RecordDataTests {
    @Test func `addresses have exactly their length`() {
        #expect(RecordData.read([192, 0, 2, 1], as: .a) == IPAddress("192.0.2.1").map { .address($0) })
        let six = [0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        #expect(RecordData.read(six, as: .aaaa) == IPAddress("2001:db8::1").map { .address($0) })
        for length in 0...20 where length != 4 {
            #expect(RecordData.read([UInt8](repeating: 1, count: length), as: .a) == nil)
        }
        for length in 0...20 where length != 16 {
            #expect(RecordData.read([UInt8](repeating: 1, count: length), as: .aaaa) == nil)
        }
    }

    @Test func `an MX is a preference and a whole name`() {
        let name: [UInt8] = [2] + Array("MX".utf8) + [7] + Array("example".utf8) + [0]
        #expect(RecordData.read([1, 2] + name, as: .mx) == .mx(preference: 258, host: "mx.example"))
        #expect(RecordData.read([0, 0, 0], as: .mx) == .mx(preference: 0, host: ""))
        for cut in 0..<name.count {
            #expect(RecordData.read([0, 1] + name.prefix(cut), as: .mx) == nil)
        }
        #expect(RecordData.read([0, 1] + name + [0], as: .mx) == nil)
    }

    @Test func `compressed, overlong and odd names never pass for a host`() {
        #expect(RecordData.name([0xC0, 0x0C]) == nil)
        #expect(RecordData.name([64] + [UInt8](repeating: 97, count: 64) + [0]) == nil)
        let label: [UInt8] = [63] + [UInt8](repeating: 97, count: 63)
        #expect(RecordData.name((label + label + label + label + [0])[...]) == nil)
        #expect(RecordData.name([3, 97, 46, 98, 0]) == "a\\046b")
        #expect(RecordData.name([2, 0, 255, 0]) == "\\000\\255")
    }

    @Test func `no bytes make it trap`() {
        var state: UInt64 = 88_172_645_463_325_252
        for _ in 0..<20_000 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            let bytes = withUnsafeBytes(of: (state, state &* 31, state &* 77)) { Array($0.prefix(Int(state % 25))) }
            for type in [RecordType.a, .aaaa, .mx] { _ = RecordData.read(bytes, as: type) }
        }
    }
}
