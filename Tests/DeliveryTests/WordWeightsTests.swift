import Mail
import Testing

@testable import Delivery

/// What words say together where no rule reads a reply.
@Suite struct WordWeightsTests {
    private func features(_ text: String) -> Set<UInt64> {
        var found: Set<UInt64> = []
        _ = ReplyFeatures.each(of: ReplyText.words(of: Reply(550, nil, text))) { found.insert($0).inserted }
        return found
    }

    @Test(arguments: [
        ("Mail blocked", ["mail", "blocked", "block~", "mail blocked"]),
        ("[192.0.2.7] b@example.com", ["0.0.0.0", "@", "0.0.0.0 @"]),
        ("see mx-1.lists.example now", ["see", ".mx", ".lists", ".example", "host.", "see host.", "now", "host. now"]),
        ("error E4321 here", ["error", "here", "error here"]),
        (
            "Größe überschritten",
            [
                "grosse", "gross~", "uberschritten", "ubers~", "grosse uberschritten",
            ]
        ),
        ("Ящик полон", ["ящик", "полон", "ящик полон"]), ("переполнен", ["переполнен", "переп~"]), ("", []),
        ("mailbox_full", ["mailbox", "mailb~", "full", "mailbox full"]),
    ])
    func `words, pairs, stems and labels are what is weighed`(text: String, expected: [String]) {
        #expect(features(text) == Set(expected.map { ReplyFeatures.hash($0.utf8) }))
    }

    private let table = """
        # a comment
        scale\t10
        causes\tsource\tcontent\tunknown
        ip\t90\t-20\t-20
        junk\t-20\t80\t-20
        =4\t0\t0\t60
        0.0.0.0\t60\t0\t0
        host\t0\t0\t0

        """

    private func cause(_ line: String, _ table: String? = nil) throws -> Cause? {
        let reply = try #require(Reply(example: line))
        return try WordWeights(table ?? self.table).cause(of: reply, ReplyText.words(of: reply))
    }

    @Test func `the cause that most words speak for is the reply's`() throws {
        #expect(try cause("550 ip host 192.0.2.7") == .source)
        #expect(try cause("550 ip 192.0.2.7") == nil, "two known words name no address that is refused")
        #expect(try cause("550 junk junk is junk") == nil, "one known word says nothing")
        #expect(try cause("550 a b c") == nil)
        #expect(try cause("550 junk from ip host") == nil, "an address is given up only where little doubt is left")
        #expect(try cause("550 junk from ip", table.replacing("junk\t-20\t80", with: "junk\t-20\t127")) == .content)
        #expect(WordWeights.none.cause(of: Reply(550, nil, "ip host 192.0.2.7"), Array("ip host 0.0.0.0".utf8)) == nil)
    }

    @Test(arguments: [
        ("scale\t0", 1), ("scale\tx", 1), ("causes\tsource\tnonsense", 1), ("blocked\t1", 1),
        ("causes\tsource\nblocked\t1\t2", 2), ("causes\tsource\n\nblocked\t128", 3),
        ("causes\tsource\ncauses\tcontent", 2),
    ])
    func `a table that cannot be is refused with the line`(table: String, line: Int) {
        #expect(throws: WordWeights.FormatError(line: line)) { try WordWeights(table) }
    }

    @Test func `words come after rules, and before status and code`() throws {
        var own = ReplyRule(id: "own", cause: .volume, source: "a test", examples: ["550 junk limit"])
        own.patterns = ["limit"]
        let weights = try WordWeights(table.replacing("0.0.0.0", with: "mail"))
        let rules = try ReplyRules([own], weights: weights)
        func read(_ line: String, _ phase: Phase = .rcpt) throws -> Reading {
            rules.read(try #require(Reply(example: line)), in: phase, site: nil)
        }
        #expect(try read("550 ip mail limit").rule == "own")
        #expect(try read("550 5.1.1 ip host mail").rule == "base:words")
        #expect(try read("550 5.1.1 ip host mail").cause == .source)
        #expect(try read("550 5.1.1 junk").cause == .recipient)
        #expect(try read("554 junk mail mail", .banner).rule == "base:banner-554", "nothing else was said yet")
    }

    @Test func `no bytes make it trap, and each is looked at once or twice`() throws {
        let weights = try WordWeights(table)
        var state: UInt64 = 42
        for _ in 0..<2_000 {
            let bytes = (0..<40).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1
                return UInt8(truncatingIfNeeded: state >> 33)
            }
            _ = weights.cause(of: Reply(550, nil, ""), bytes)
            _ = weights.cause(of: Reply(550, nil, ""), bytes.map { $0 % 4 == 0 ? 0x1E : $0 % 3 == 0 ? 48 : $0 })
        }
        var count = 0
        let known = ReplyFeatures.each(of: [UInt8](repeating: UInt8(ascii: "@"), count: 4_096)) { _ in
            count += 1
            return count == 1
        }
        #expect(count <= 2 * 4_096)
        #expect(known == 1)
    }
}
