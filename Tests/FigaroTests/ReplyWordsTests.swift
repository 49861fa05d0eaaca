import Delivery
import Foundation
import Mail
import Testing

@testable import Figaro

/// The weights that come with the program, and the labelled replies that they were made from.
@Suite struct ReplyWordsTests {
    private static let table = BuiltInFile.replyWords

    @Test func `the table is read whole`() throws {
        _ = try WordWeights(Self.table)
        #expect(Self.table.split(separator: "\n").count > 1_000)
    }

    @Test func `it holds words and pairs of words, and no reply`() {
        for line in Self.table.split(separator: "\n") where !line.hasPrefix("#") {
            let feature = line.prefix { $0 != "\t" }
            #expect(feature.split(separator: " ").count <= 2, "\(feature)")
            #expect(feature.utf8.count <= 80, "\(feature)")
        }
    }

    private struct Labelled {
        let cause: Cause
        let reply: Reply
    }

    private static let labelled: [Labelled] = {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Replies/labelled.tsv")
        let text = (try? String(contentsOf: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\t")
            guard parts.count == 3, let cause = Cause(rawValue: String(parts[1])),
                let reply = Reply(example: String(parts[2]))
            else { return nil }
            return Labelled(cause: cause, reply: reply)
        }
    }()

    /// What a receiver is told apart by: two causes that ask for the same, and those without a class of their own.
    private func kind(_ cause: Cause) -> Cause {
        switch cause {
        case .range: .source
        case .protocol, .tls, .local: .unknown
        default: cause
        }
    }

    /// No measure of how unseen replies are read: rules were mended by these. It tells what a change breaks.
    @Test func `replies that were labelled by hand are read as their labels say`() throws {
        let rules = try #require(ReplyRuleFile.load(nil, Problems()))
        #expect(Self.labelled.count >= 1_900)
        var (right, rotated, rightly) = (0, 0, 0)
        for labelled in Self.labelled {
            let (read, label) = (
                kind(rules.read(labelled.reply, in: nil, site: nil).cause), kind(labelled.cause)
            )
            right += read == label ? 1 : 0
            rotated += read == .source ? 1 : 0
            rightly += read == .source && label == .source ? 1 : 0
        }
        print("\(right) of \(Self.labelled.count) right; \(rightly) of \(rotated) rightly about the address")
        #expect(Double(right) >= 0.94 * Double(Self.labelled.count))
        #expect(Double(rightly) >= 0.97 * Double(rotated))
    }
}
