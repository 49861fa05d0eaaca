import Delivery
import Mail
import Testing

@testable import Figaro

/// The built-in rules carry meanings: none holds a reply, or most of one.
@Suite struct ReplyRuleStyleTests {
    private let rules: [ReplyRule]

    init() throws {
        rules = try #require(ReplyRuleFile.load(nil, Problems())).rules
    }

    /// The literal pieces of a pattern, longest choice of each.
    private func pieces(_ pattern: String) -> [String] {
        var pieces = [""]
        var longest = ""
        var choice = ""
        var inGroup = false
        for character in pattern {
            switch character {
            case "(", "{": (inGroup, longest, choice) = (true, "", "")
            case "|" where inGroup:
                if choice.count > longest.count { longest = choice }
                choice = ""
            case ")", "}":
                if choice.count > longest.count { longest = choice }
                pieces[pieces.count - 1] += longest
                inGroup = false
            case "*": pieces.append("")
            default:
                if inGroup { choice.append(character) } else { pieces[pieces.count - 1].append(character) }
            }
        }
        return pieces.flatMap { $0.split(separator: "...").map(String.init) }
    }

    @Test func `no pattern holds a whole reply`() {
        for rule in rules {
            for pattern in rule.patterns {
                let pieces = pieces(pattern)
                #expect(pieces.allSatisfy { $0.utf8.count <= 60 }, "\(rule.id): \(pattern)")
                let words = pieces.reduce(0) { $0 + $1.split(separator: " ").count }
                #expect(words <= 12, "\(rule.id): \(pattern)")
            }
        }
    }

    @Test func `patterns hold no host, no address and no number of one reply`() {
        for rule in rules {
            for pattern in rule.patterns + rule.unless {
                let words = pattern.split { " ()|*{}".contains($0) }
                // The longest number that is a name: of an RFC, or of a provider's error.
                for word in words where !word.contains(".") {
                    let run = word.split { !$0.isNumber }.map(\.count).max() ?? 0
                    #expect(run <= 6, "\(rule.id): \(word)")
                }
                #expect(!pattern.contains("example."), "\(rule.id): \(pattern)")
                #expect(!words.contains { $0.contains("@") && $0.utf8.count > 1 }, "\(rule.id): \(pattern)")
            }
        }
    }

    @Test func `every rule says where its claim comes from`() {
        #expect(rules.allSatisfy { $0.source.count >= 4 && !$0.examples.isEmpty })
    }
}
