import Foundation
import NIOCore
import Testing

@testable import Filtering

/// What reading an answer costs; printed, since the figure is the machine's.
@Suite struct `Cost of an answer` {
    private struct Symbols: Decodable {
        struct Symbol: Decodable {
            var score: Double?
            var options: [String]?
        }

        var action: String
        var symbols: [String: Symbol]
    }

    @Test(arguments: [2, 25])
    func `of so many rules`(_ rules: Int) throws {
        let symbols = (0..<rules).map { number in
            #""RULE_NAME_\#(number)":{"name":"RULE_NAME_\#(number)","score":0.1,"metric_score":0.1,"#
                + #""description":"What a rule says of a message","options":["a.example:s=2026","192.0.2.1"]}"#
        }
        let text =
            #"{"score":1.5,"required_score":15.0,"action":"no action","messages":{},"time_real":0.1,"#
            + #""symbols":{"# + symbols.joined(separator: ",") + "}}"
        let (answer, data, count) = (ByteBuffer(string: text), Data(text.utf8), 200)
        var found = 0
        let ours = try ContinuousClock().measure {
            for _ in 0..<count { found += try RspamdReply.read(answer).symbols?.count ?? 0 }
        }
        let foundations = try ContinuousClock().measure {
            for _ in 0..<count { found += try JSONDecoder().decode(Symbols.self, from: data).symbols.count }
        }
        #expect(found == 2 * count * rules)
        print(
            "\(rules) rules, \(text.utf8.count) octets: \(ours / count) an answer, \(foundations / count) by Foundation"
        )
    }
}
