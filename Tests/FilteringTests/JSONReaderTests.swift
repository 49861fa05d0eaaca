import Foundation
import Testing

@testable import Filtering

@Suite struct `JSON` {
    /// The one string in a list; nil where it is none.
    static func text(_ json: String) -> String? {
        var found: String?
        do throws(JSONReader.Fault) {
            var reader = try JSONReader(Array(json.utf8))
            try reader.array { reader throws(JSONReader.Fault) in found = try reader.string() }
            try reader.end()
            return found
        } catch {
            return nil
        }
    }

    static func passes(_ octets: [UInt8]) -> Bool {
        do throws(JSONReader.Fault) {
            var reader = try JSONReader(octets)
            try reader.skip()
            try reader.end()
            return true
        } catch {
            return false
        }
    }

    @Test(arguments: [
        (#"["a\"\\\/\b\f\n\r\tz"]"#, "a\"\\/\u{8}\u{C}\n\r\tz"), (#"["\u00e9é\u20AC"]"#, "éé€"),
        (#"["\ud83d\ude00 \uD83D\uDE00x"]"#, "😀 😀x"), (#"[""]"#, ""), (#" [ "a" ] "#, "a"), (#"["\u0000"]"#, "\u{0}"),
    ])
    func `strings are what they stand for`(_ json: String, _ text: String) {
        #expect(Self.text(json) == text)
    }

    @Test(arguments: [
        #"["\ud83d"]"#, #"["\ude00\ud83d"]"#, #"["\ud83dx\ude00"]"#, #"["\u12g4"]"#, #"["\u12"]"#, #"["\x"]"#, #"["\"#,
        #"["a]"#, "[\"\n\"]", #"["a"]x"#, #"["a",]"#, #"[,"a"]"#, #"["a" "b"]"#, "[1]", "[null]", #"{"a":"b"}"#,
    ])
    func `what is no string is none`(_ json: String) {
        #expect(Self.text(json) == nil)
    }

    @Test(arguments: [
        "0", "-0", "1.25", "1e5", "-1E-3", "[1,[2,{}],[]]", #"{"a":{"b":[true,false,null]},"a":""}"#, " \t\r\n1 ",
    ])
    func `values are passed over`(_ json: String) {
        #expect(Self.passes(Array(json.utf8)))
    }

    @Test(arguments: [
        "", " ", "01", "1.", ".5", "+1", "1e", "--1", "0x1", "tru", "nulll", "{", "{\"a\"}", "{\"a\":}", "{a:1}",
        "[1 2]",
        "[1}", "'a'", "1 1", "{\"a\":1,}",
    ])
    func `what is none is not`(_ json: String) {
        #expect(!Self.passes(Array(json.utf8)))
    }

    @Test func `octets that are no text are none`() {
        #expect(!Self.passes(Array("\"".utf8) + [0xC3] + Array("\"".utf8)))
        #expect(!Self.passes([0xEF, 0xBB, 0xBF, 0x31]))
    }

    @Test func `it is as deep as an answer may be, and no stack ends`() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(Self.passes(nested(64)) && !Self.passes(nested(65)) && !Self.passes(nested(500_000)))
    }

    @Test func `whatever a machine writes reads as Foundation reads it`() throws {
        var random = SystemRandomNumberGenerator()
        let letters = Array("ab\"\\/\n\té€😀\u{0}{}[]:, ")
        func value(_ depth: Int) -> Any {
            switch Int.random(in: 0..<(depth > 4 ? 4 : 6), using: &random) {
            case 0: String(letters.shuffled(using: &random).prefix(Int.random(in: 0..<9, using: &random)))
            case 1: Double.random(in: -1e9...1e9, using: &random)
            case 2: Bool.random(using: &random)
            case 3: NSNull()
            case 4: (0..<Int.random(in: 0..<4, using: &random)).map { _ in value(depth + 1) }
            default: ["a": value(depth + 1), "b\n": value(depth + 1)]
            }
        }
        for _ in 0..<300 {
            let written = try JSONSerialization.data(withJSONObject: [value(0)])
            #expect(Self.passes(Array(written)), "\(String(decoding: written, as: UTF8.self))")
            guard let list = try JSONSerialization.jsonObject(with: written) as? [Any], let text = list.first as? String
            else { continue }
            #expect(Self.text(String(decoding: written, as: UTF8.self)) == text)
        }
    }
}
