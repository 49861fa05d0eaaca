package import Mail

/// One line of knowledge about what receivers mean: which replies, and what they are evidence of.
///
/// Everything that is named must hold: one of the sites, one of the phases, one of the codes, one of the statuses, one
/// of the patterns, and none of `unless`. What is empty is not asked for.
package struct ReplyRule: Sendable, Hashable {
    /// Unique in its file: `yahoo-ts03`.
    package var id: String
    package var cause: Cause
    /// Receivers that word things this way: the name of a site, or a domain that the site's name or hosts end in.
    package var sites: [String] = []
    package var phases: [Phase] = []
    package var codes: [Code] = []
    package var statuses: [Status] = []
    /// In the form of ``ReplyPattern``.
    package var patterns: [String] = []
    package var unless: [String] = []
    /// How long what the rule found is to be believed where the reply names no time; nil leaves it to the planner.
    package var hold: Timestamp.Span?
    /// Whether those who know it disagree what such a reply means; see ``Reading/isDisputed``.
    package var isDisputed = false
    /// Whether the receiver says so to every address that it does not know; see ``Reading/refusesUnknown``.
    package var refusesUnknown = false
    /// Whether the limit is one of our address; see ``Reading/isPerSource``.
    package var isPerSource = false
    /// Where the rule stands, `replies.yaml:120`; nil where it is of no file.
    package var place: String?
    /// Where the claim comes from.
    package var source: String
    /// Replies that this rule must be the one to read, `550 5.7.1 text`, among all the rules of its file.
    package var examples: [String]

    package init(id: String, cause: Cause, source: String, examples: [String]) {
        self.id = id
        self.cause = cause
        self.source = source
        self.examples = examples
    }

    /// A reply code or a class of them: `550`, `5xx`, `45x`.
    package struct Code: Sendable, Hashable {
        package let range: ClosedRange<UInt16>

        /// nil when it is neither three digits nor digits followed by `x`.
        package init?(_ text: String) {
            guard let range = WildcardNumber.range(text, digits: 3), (2...5).contains(range.lowerBound / 100) else {
                return nil
            }
            self.range = range
        }
    }

    /// An enhanced status with wildcards: `5.7.1`, `5.7.*`, `*.7.26`, `5.7.7xx`.
    package struct Status: Sendable, Hashable {
        private let parts: [ClosedRange<UInt16>]

        /// nil when it is not three parts of digits, digits and `x`, or `*`.
        package init?(_ text: String) {
            var parts: [ClosedRange<UInt16>] = []
            for part in text.split(separator: ".", omittingEmptySubsequences: false) {
                guard let range = part == "*" ? 0...999 : WildcardNumber.range(String(part), digits: nil) else {
                    return nil
                }
                parts.append(range)
            }
            guard parts.count == 3 else { return nil }
            self.parts = parts
        }

        package func matches(_ status: EnhancedStatus) -> Bool {
            parts[0].contains(UInt16(status.status)) && parts[1].contains(status.subject)
                && parts[2].contains(status.detail)
        }
    }
}

/// Digits, of which the last ones may be `x` for any digit.
private enum WildcardNumber {
    static func range(_ text: String, digits: Int?) -> ClosedRange<UInt16>? {
        let fixed = text.prefix { $0 != "x" }
        let open = text.count - fixed.count
        guard (1...3).contains(text.count), digits == nil || digits == text.count, !fixed.isEmpty,
            fixed.utf8.allSatisfy({ (48...57).contains($0) }), text.dropFirst(fixed.count).allSatisfy({ $0 == "x" }),
            let base = UInt16(fixed)
        else { return nil }
        let factor: UInt16 = open == 0 ? 1 : (open == 1 ? 10 : 100)
        return base * factor...base * factor + (factor - 1)
    }
}

/// What an answer was read as.
package struct Reading: Sendable, Hashable {
    package let cause: Cause
    /// The rule that read it; `base:…` where none of the file did.
    package let rule: String
    /// How long to wait or to believe it, where the rule or the reply itself names a time.
    package let hold: Timestamp.Span?
    /// Sources disagree whether this is about our address, so one other source may be tried, once; what comes of that
    /// decides. The cause is what it more likely is.
    package let isDisputed: Bool
    /// The receiver refuses every address that it does not know, so a fresh one fails like the last: one that it has
    /// accepted mail from, or the relay, comes before other sources.
    package let refusesUnknown: Bool
    /// Of cause `volume`: each address of ours has such a limit of its own, so others may go on.
    package let isPerSource: Bool

    package init(
        cause: Cause, rule: String, hold: Timestamp.Span? = nil, isDisputed: Bool = false, refusesUnknown: Bool = false,
        isPerSource: Bool = false
    ) {
        self.cause = cause
        self.rule = rule
        self.hold = hold
        self.isDisputed = isDisputed
        self.refusesUnknown = refusesUnknown
        self.isPerSource = isPerSource
    }
}

/// A rule that cannot be used, and why; whoever read the file adds its place.
package struct ReplyRuleError: Error, Hashable, CustomStringConvertible {
    /// Position in the list, from 0.
    package let index: Int
    package let rule: String
    /// Which of the rule's keys it is, such as `patterns[1]`; nil where it is the whole rule.
    package let key: String?
    package let problem: String

    package var description: String { "rule \"\(rule)\": \(problem)" }
}
