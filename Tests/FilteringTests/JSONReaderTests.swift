import Testing

@testable import Filtering

@Suite struct `JSON that somebody else wrote` {
    static func read(_ text: String) throws -> JSON {
        var bytes = Array(text.utf8)
        return try bytes.withUnsafeMutableBytes { try JSONReader.read(UnsafeRawBufferPointer($0)) }
    }

    @Test func `values are read, and written as they were`() throws {
        let text = #"{"a":[1,-2.5,true,false,null,"x\"\\\n"],"b":{},"c":[],"d":"\#u{e9}"}"#
        #expect(try Self.read(text).written == text)
        #expect(try Self.read(" [ 1e3 , \"\\u00e9\\ud83d\\ude00\" ] ").elements == [.number(1000), .string("é😀")])
    }

    @Test(arguments: [
        "", "{", "[", "\"", "{\"a\"}", "{\"a\":}", "[1,]", "{\"a\":1,}", "tru", "nul", "1 2", "[1]]", "--1", "1e999",
        "nan",
        "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\u{1}\"", "{1:2}", "\u{0}", "+", "e", "[\"a\" \"b\"]", "\"\\",
    ])
    func `what is none is refused`(_ text: String) {
        #expect(throws: JSONReader.Unreadable.self) { try Self.read(text) }
    }

    @Test func `half a pair stands for nothing`() throws {
        #expect(try Self.read(#""\ud83d""#) == .string("\u{FFFD}"))
        #expect(try Self.read(#""\ude00\ud83d\u0041""#) == .string("\u{FFFD}\u{FFFD}"))
    }

    @Test func `depth and number have bounds`() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONReader.Unreadable.self) { try Self.read(deep) }
        let many = "[" + String(repeating: "1,", count: 60_000) + "1]"
        #expect(throws: JSONReader.Unreadable.self) { try Self.read(many) }
    }

    @Test func `no octets make it trap`() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array(#"{}[]",:\utrfalsn0123456789.eE+- \#u{0}\#u{FF}"#.utf8)
        for _ in 0..<20_000 {
            let length = Int.random(in: 0..<40, using: &random)
            let bytes = (0..<length).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            bytes.withUnsafeBytes { bytes in _ = try? JSONReader.read(bytes) }
        }
    }
}
