package import Mail

/// Reads what receivers say, or fail to say: which cause an answer is evidence of.
///
/// Rules are tried in order and the first that fits reads the reply; ``BaseReading`` reads the rest. The text is
/// scanned once for the fragments of all rules, so that the time is linear in its length.
package struct ReplyRules: Sendable {
    package let rules: [ReplyRule]
    private let scanner: FragmentScanner
    /// Where each fragment stands in which patterns.
    private let uses: [[Use]]
    private let patterns: [Pattern]

    private struct Use: Sendable {
        let pattern: Int
        let place: Int
    }

    private struct Pattern: Sendable {
        let rule: Int
        let length: Int
        /// One of the rule's `unless`.
        let bars: Bool
    }

    /// Fragments of a whole file, in bytes: some ten times what a thousand rules hold. The tables take a few hundred
    /// bytes for each.
    static let fragmentLimit = 200_000

    /// Compiles the rules and reads their examples with them.
    package init(_ rules: [ReplyRule]) throws(ReplyRuleError) {
        var dictionary = Dictionary()
        for (index, rule) in rules.enumerated() {
            do throws(ReplyPattern.SyntaxError) {
                for text in rule.patterns { dictionary.add(try ReplyPattern(text), of: index, bars: false) }
                for text in rule.unless { dictionary.add(try ReplyPattern(text), of: index, bars: true) }
            } catch {
                throw ReplyRuleError(index: index, rule: rule.id, problem: error.problem)
            }
            guard dictionary.size <= Self.fragmentLimit else {
                throw ReplyRuleError(index: index, rule: rule.id, problem: "it and those before it are too many words")
            }
        }
        self.rules = rules
        scanner = FragmentScanner(dictionary.fragments)
        uses = dictionary.uses
        patterns = dictionary.patterns
        try check()
    }

    /// The fragments of all patterns, each once.
    private struct Dictionary {
        var fragments: [ReplyPattern.Fragment] = []
        var uses: [[Use]] = []
        var patterns: [Pattern] = []
        /// Bytes of all fragments.
        var size = 0
        private var numbers: [ReplyPattern.Fragment: Int] = [:]

        mutating func add(_ pattern: ReplyPattern, of rule: Int, bars: Bool) {
            for (place, choices) in pattern.places.enumerated() {
                for fragment in choices {
                    uses[number(of: fragment)].append(Use(pattern: patterns.count, place: place))
                }
            }
            patterns.append(Pattern(rule: rule, length: pattern.places.count, bars: bars))
        }

        private mutating func number(of fragment: ReplyPattern.Fragment) -> Int {
            if let known = numbers[fragment] { return known }
            numbers[fragment] = fragments.count
            fragments.append(fragment)
            uses.append([])
            size += fragment.bytes.count
            return fragments.count - 1
        }
    }

    /// Reads an answer that was not what the sender hoped for.
    ///
    /// - Parameter site: the receiver's name or its host names with anything but letters, digits, `-`, `_` and `.`
    /// between
    ///   them.
    package func read(_ answer: PhaseAnswer, site: String) -> Reading {
        switch answer.answer {
        case .trouble(let trouble, _): BaseReading.read(trouble, in: answer.phase)
        case .reply(let reply): read(reply, in: answer.phase, site: site)
        }
    }

    private func read(_ reply: Reply, in phase: Phase, site: String) -> Reading {
        guard reply.code >= 400 else { return BaseReading.read(reply, in: phase) }
        let words = ReplyText.words(of: reply)
        let found = find(words)
        let reading: Reading
        if let rule = rules.indices.first(where: { fits($0, reply, phase, site, found) }) {
            reading = Reading(cause: rules[rule].cause, rule: rules[rule].id, hold: rules[rule].hold)
        } else {
            reading = BaseReading.read(reply, in: phase)
        }
        guard reading.hold == nil, reading.cause == .greylist || reading.cause == .volume else { return reading }
        return Reading(cause: reading.cause, rule: reading.rule, hold: ReplyText.namedWait(words))
    }

    /// What a text holds for one rule.
    private struct Found: OptionSet {
        let rawValue: UInt8
        static let named = Found(rawValue: 1)
        /// One of its `unless`.
        static let barred = Found(rawValue: 2)
    }

    /// Where a pattern stands: places found so far, and where the last of them ended.
    private struct Progress {
        var place: Int32 = 0
        var end: Int32 = 0
    }

    /// Fragments come by where they end, so that taking each as early as it fits finds a pattern if it is there.
    private func find(_ words: [UInt8]) -> [Found] {
        var found = [Found](repeating: [], count: rules.count)
        withUnsafeTemporaryAllocation(of: Progress.self, capacity: patterns.count) { progress in
            progress.initialize(repeating: Progress())
            found.withUnsafeMutableBufferPointer { found in
                scanner.scan(words) { fragment, range in
                    for use in uses[fragment] {
                        let reached = progress[use.pattern]
                        guard reached.place == use.place, reached.end <= range.lowerBound else { continue }
                        progress[use.pattern] = Progress(place: reached.place + 1, end: Int32(range.upperBound))
                        let pattern = patterns[use.pattern]
                        guard reached.place + 1 == pattern.length else { continue }
                        found[pattern.rule].insert(pattern.bars ? .barred : .named)
                    }
                }
            }
        }
        return found
    }

    private func fits(_ index: Int, _ reply: Reply, _ phase: Phase, _ site: String, _ found: [Found]) -> Bool {
        let rule = rules[index]
        guard found[index] == .named || (rule.patterns.isEmpty && found[index].isEmpty),
            rule.phases.isEmpty || rule.phases.contains(phase),
            rule.codes.isEmpty || rule.codes.contains(where: { $0.range.contains(reply.code) })
        else { return false }
        if !rule.statuses.isEmpty {
            guard let status = reply.enhanced, rule.statuses.contains(where: { $0.matches(status) }) else {
                return false
            }
        }
        return rule.sites.isEmpty || rule.sites.contains { Self.site(site, isOf: $0) }
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
            if let problem = problem(of: rule, known: ids) {
                throw ReplyRuleError(index: index, rule: rule.id, problem: problem)
            }
            ids.insert(rule.id)
        }
    }

    private func problem(of rule: ReplyRule, known: Set<String>) -> String? {
        guard !rule.id.isEmpty, !rule.id.hasPrefix("base:") else { return "the id is empty or begins with base:" }
        guard !known.contains(rule.id) else { return "the id stands twice" }
        guard !(rule.patterns.isEmpty && rule.statuses.isEmpty && rule.codes.isEmpty) else {
            return "it names no pattern, status or code, so it would read everything"
        }
        guard !rule.examples.isEmpty else { return "it has no example" }
        for example in rule.examples {
            guard let reply = Reply(example: example) else {
                return "example \"\(example)\" does not begin with a reply code from 400 to 599"
            }
            let reading = read(reply, in: rule.phases.first ?? .rcpt, site: rule.sites.first ?? "")
            guard reading.rule == rule.id else { return "example \"\(example)\" is read by \"\(reading.rule)\"" }
        }
        return nil
    }
}

extension Reply {
    /// A reply as it stands in a rule file: code, enhanced status if there is one, text.
    package init?(example: String) {
        guard let code = UInt16(example.prefix(3)), (400...599).contains(code) else { return nil }
        var rest = example.dropFirst(3)
        guard rest.isEmpty || rest.first == " " || rest.first == "-" else { return nil }
        rest = rest.dropFirst()
        let octets = Array(rest.utf8)
        guard let (status, length) = EnhancedStatus.leading(octets.span) else {
            self.init(code, nil, String(rest))
            return
        }
        self.init(code, status, String(Substring(rest.utf8.dropFirst(length)).drop { $0 == " " }))
    }
}
