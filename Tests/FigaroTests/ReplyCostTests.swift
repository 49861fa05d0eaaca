import Mail
import Testing

@testable import Delivery
@testable import Figaro

/// What reading takes in steps, which no clock and no neighbour changes: one or two for each byte of the text, and one
/// for each place of a pattern at which a fragment that was found may stand.
@Suite struct ReplyCostTests {
    private static let rules = ReplyRuleFile.load(nil, Problems())

    private static func fill(_ text: String, _ size: Int = 1_024) -> Reply {
        Reply(
            550, EnhancedStatus(5, 7, 1),
            String(String(repeating: text, count: size / text.utf8.count + 1).prefix(size)))
    }

    @Test func `an ordinary reply of 1 KB looks at few places`() throws {
        let rules = try #require(Self.rules)
        let reply = Self.fill(
            "[192.0.2.7 15] Our system has detected that this message does not follow our guidelines. To best protect "
                + "our users, it was not let in. See https://support.example/mail/?p=Guidelines for more, and write to "
                + "whoever runs this host where you think that this is a mistake. ")
        let cost = rules.cost(of: reply)
        print("an ordinary reply: \(cost.hits) fragments, \(cost.looks) places")
        #expect(cost.looks <= 6_000)
    }

    @Test(arguments: [
        "your IP address is blocked and listed, the mail server host rejected it ", "no such user mailbox unknown ",
        "a ", "mail ", "blocked ", "ip ", "is not ", "address address address ", "a.b.c.d ", "....", "1.2.3.4 ",
    ])
    func `no reply costs more than its length allows`(words: String) throws {
        let rules = try #require(Self.rules)
        let (one, two) = (rules.cost(of: Self.fill(words)), rules.cost(of: Self.fill(words, 2_048)))
        print("\(words): \(one.hits) fragments, \(one.looks) places")
        #expect(one.looks <= 60_000)
        #expect(two.looks <= 2 * one.looks + 2_000, "linear")
        #expect(rules.cost(of: Self.fill(words, 1 << 20)).looks <= 4 * one.looks + 8_000, "4 KB are read at most")
    }
}
