package import Mail

/// What a reply would be taken for, and what would follow for a message in its first round.
package struct Classification: Sendable, Hashable {
    package let cause: Cause
    package let rule: String
    /// `another source`, `later, after 300 s`, `failed`.
    package let decision: String
}

extension ReplyRules {
    /// - Parameters:
    ///   - phase: nil where it is not known; rules that name phases do not fit then.
    ///   - site: nil where it is not known; rules that name sites do not fit then.
    package func classify(_ answer: Answer, in phase: Phase?, site: String?) -> Classification {
        let known = PhaseAnswer(phase: phase ?? .rcpt, answer: answer)
        let reading =
            switch answer {
            case .reply(let reply): read(reply, in: phase, site: site)
            case .trouble: read(known, site: site ?? "")
            }
        let judgement = Judgement(of: known, read: reading, reused: false, firstRound: true)
        return Classification(cause: reading.cause, rule: reading.rule, decision: judgement.summary)
    }
}

extension Judgement {
    fileprivate var summary: String {
        switch verdict {
        case .otherSource: reading?.cause == .range ? "another range" : "another source"
        case .later(let span, let samePath):
            [samePath ? "later from the same source" : "later", span.map { "after \($0.milliseconds / 1_000) s" }]
                .compactMap { $0 }.joined(separator: ", ")
        default: verdict.name
        }
    }
}
