package import Mail

/// Reads what receivers say, or fail to say: which cause an answer is evidence of.
///
/// Rules are tried in order and the first that fits reads the reply; ``WordWeights`` and ``BaseReading`` read the
/// rest. The text is scanned once for the fragments of all rules, so that the time is linear in its length.
package struct ReplyRules: Sendable {
    package let rules: [ReplyRule]
    private let table: PatternTable
    /// What speaks where no rule fits.
    private let weights: WordWeights

    /// Words of a whole file, in bytes and places: some ten times what a thousand rules hold. The tables take a few
    /// dozen bytes for each.
    static let sizeLimit = 400_000
    static let plainWords = "plain"

    /// Compiles the rules and reads their examples with them.
    ///
    /// - Parameter lists: words that stand for one another, by the name that patterns call them with; of those called
    ///   ``plainWords`` none is read where it is the label of a host name.
    package init(
        _ rules: [ReplyRule], lists: [String: [String]] = [:], weights: WordWeights = .none
    ) throws(ReplyRuleError) {
        var builder = PatternTable.Builder(plain: lists[Self.plainWords] ?? [])
        for (index, rule) in rules.enumerated() {
            for (number, text) in rule.patterns.enumerated() {
                let pattern = try Self.pattern(text, lists, of: rule, index, key: "patterns[\(number)]")
                builder.add(pattern, of: index, bars: false)
            }
            for (number, text) in rule.unless.enumerated() {
                let pattern = try Self.pattern(text, lists, of: rule, index, key: "unless[\(number)]")
                builder.add(pattern, of: index, bars: true)
            }
            guard builder.size <= Self.sizeLimit else {
                throw ReplyRuleError(
                    index: index, rule: rule.id, key: nil, problem: "it and those before it are too many words")
            }
        }
        self.rules = rules
        self.weights = weights
        table = builder.table()
        try check()
    }

    private static func pattern(
        _ text: String, _ lists: [String: [String]], of rule: ReplyRule, _ index: Int, key: String
    ) throws(ReplyRuleError) -> ReplyPattern {
        do throws(ReplyPattern.SyntaxError) {
            return try ReplyPattern(text, lists: lists)
        } catch {
            throw ReplyRuleError(index: index, rule: rule.id, key: key, problem: error.problem)
        }
    }

    /// Reads an answer that was not what the sender hoped for.
    ///
    /// - Parameter site: the receiver's name or its host names with anything but letters, digits, `-`, `_` and `.`
    ///   between them.
    package func read(_ answer: PhaseAnswer, site: String) -> Reading {
        switch answer.answer {
        case .trouble(let trouble, _): BaseReading.read(trouble, in: answer.phase)
        case .reply(let reply): read(reply, in: answer.phase, site: site)
        }
    }

    /// Reads a reply of which phase and site need not be known; rules that name them do not fit then.
    package func read(_ reply: Reply, in phase: Phase?, site: String?) -> Reading {
        guard reply.code >= 400 else { return BaseReading.read(reply, in: phase ?? .rcpt) }
        let words = ReplyText.words(of: reply)
        let found = table.find(words, rules: rules.count)
        guard let index = rules.indices.first(where: { fits($0, reply, phase, site, found[$0]) }) else {
            let base = BaseReading.read(reply, in: phase ?? .rcpt, weights.cause(of: reply, words))
            return Reading(cause: base.cause, rule: base.rule, hold: namedWait(words, base.cause))
        }
        let rule = rules[index]
        return Reading(
            cause: rule.cause, rule: rule.id, hold: namedWait(words, rule.cause) ?? rule.hold,
            isDisputed: rule.isDisputed, refusesUnknown: rule.refusesUnknown,
            isPerSource: rule.isPerSource)
    }

    /// What reading a text takes, in steps that do not depend on the machine.
    func cost(of reply: Reply) -> (hits: Int, looks: Int) { table.cost(of: ReplyText.words(of: reply)) }

    /// The time that the reply itself names, as far as it is about what the cause is about.
    private func namedWait(_ words: [UInt8], _ cause: Cause) -> Timestamp.Span? {
        switch cause {
        case .greylist, .volume: ReplyText.namedWait(words)
        case .host, .mailbox: ReplyText.namedWait(words, afterInvitation: true)
        // A block that names less than half an hour would be tested more often than it is worth.
        case .source, .range:
            ReplyText.namedWait(words, afterInvitation: true).flatMap { $0 >= .minutes(30) ? $0 : nil }
        default: nil
        }
    }

    private func fits(
        _ index: Int, _ reply: Reply, _ phase: Phase?, _ site: String?, _ found: PatternTable.Found
    ) -> Bool {
        // Most rules end here.
        guard found == .named || (found.isEmpty && rules[index].patterns.isEmpty) else { return false }
        let rule = rules[index]
        guard rule.phases.isEmpty || phase.map(rule.phases.contains) ?? false,
            rule.codes.isEmpty || rule.codes.contains(where: { $0.range.contains(reply.code) })
        else { return false }
        if !rule.statuses.isEmpty {
            guard let status = reply.enhanced, rule.statuses.contains(where: { $0.matches(status) }) else {
                return false
            }
        }
        guard !rule.sites.isEmpty else { return true }
        guard let site else { return false }
        return rule.sites.contains { Self.site(site, isOf: $0) }
    }

    /// The scope is the site itself, or the end of one of the names in it.
    private static func site(_ site: String, isOf scope: String) -> Bool {
        if site == scope { return true }
        let names = site.utf8.split { byte in
            !ReplyText.isWordByte(byte) && byte != UInt8(ascii: ".") && byte != UInt8(ascii: "-")
        }
        return names.contains { name in
            guard name.count >= scope.utf8.count, name.suffix(scope.utf8.count).elementsEqual(scope.utf8) else {
                return false
            }
            return name.count == scope.utf8.count || name.dropLast(scope.utf8.count).last == UInt8(ascii: ".")
        }
    }

    // MARK: Checking a file

    private func check() throws(ReplyRuleError) {
        var ids: Set<String> = []
        for (index, rule) in rules.enumerated() {
            if let (key, problem) = problem(of: rule, known: ids) {
                throw ReplyRuleError(index: index, rule: rule.id, key: key, problem: problem)
            }
            ids.insert(rule.id)
        }
    }

    private func problem(of rule: ReplyRule, known: Set<String>) -> (key: String?, problem: String)? {
        guard !rule.id.isEmpty, !rule.id.hasPrefix("base:") else {
            return ("id", "the id is empty or begins with base:")
        }
        guard !known.contains(rule.id) else { return ("id", "the id stands twice") }
        guard !(rule.patterns.isEmpty && rule.statuses.isEmpty && rule.codes.isEmpty) else {
            return (nil, "it names no pattern, status or code, so it would read everything")
        }
        guard !(rule.refusesUnknown && rule.cause != .source) else {
            return ("refuses_unknown", "an address is refused for cause source only")
        }
        guard !(rule.isPerSource && rule.cause != .volume) else {
            return ("per_source", "a limit is of cause volume only")
        }
        guard !(rule.isDisputed && [.source, .range].contains(rule.cause)) else {
            return ("disputed", "cause \(rule.cause.rawValue) tries other sources as it is")
        }
        guard !rule.examples.isEmpty else { return ("examples", "it has no example") }
        for (number, example) in rule.examples.enumerated() {
            let key = "examples[\(number)]"
            guard let reply = Reply(example: example) else {
                return (key, "example \"\(example)\" does not begin with a reply code from 400 to 599")
            }
            let reading = reading(ofExample: reply, of: rule)
            guard reading.rule == rule.id else {
                return (key, "example \"\(example)\" is read by \"\(reading.rule)\"")
            }
        }
        return nil
    }

    private func reading(ofExample reply: Reply, of rule: ReplyRule) -> Reading {
        read(reply, in: rule.phases.first ?? .rcpt, site: rule.sites.first ?? "")
    }
}

extension Reply {
    /// A reply as it stands in a rule file: code, enhanced status if there is one, text.
    package init?(example: String) {
        guard let code = UInt16(example.prefix(3)), (400...599).contains(code) else { return nil }
        let rest = example.dropFirst(3)
        guard rest.isEmpty || rest.first == " " || rest.first == "-" else { return nil }
        self.init(code: code, rest: rest.dropFirst())
    }

    /// - Parameter rest: what stands after the code and the space: an enhanced status if there is one, text.
    package init(code: UInt16, rest: Substring) {
        // 5.999.999 and what must follow it.
        let octets = Array(rest.utf8.prefix(11))
        guard let (status, length) = EnhancedStatus.leading(octets.span) else {
            self.init(code, nil, String(rest))
            return
        }
        self.init(code, status, String(Substring(rest.utf8.dropFirst(length)).drop { $0 == " " }))
    }
}
