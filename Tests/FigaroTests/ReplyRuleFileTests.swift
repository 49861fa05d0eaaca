import Delivery
import Mail
import Testing

@testable import Figaro

@Suite struct ReplyRuleFileTests {
    private func load(_ text: String) throws -> (rules: ReplyRules?, problems: [String]) {
        let folder = try TemporaryFolder()
        let file = try folder.write("replies.yaml", text)
        let problems = Problems()
        let rules = ReplyRuleFile.load(file, problems)
        return (rules, problems.list.map { $0.description.replacing(folder.path + "/", with: "") })
    }

    private func builtIn() throws -> ReplyRules {
        let problems = Problems()
        let rules = ReplyRuleFile.load(nil, problems)
        #expect(problems.list.map(\.description) == [])
        return try #require(rules)
    }

    private func cause(_ rules: ReplyRules, _ text: String, _ phase: Phase = .rcpt) throws -> Cause {
        let reply = try #require(Reply(example: text))
        return rules.read(PhaseAnswer(phase: phase, answer: .reply(reply)), site: "").cause
    }

    @Test func `the built-in rules load, and each reads its own examples`() throws {
        let rules = try builtIn()
        #expect(rules.rules.count >= 40)
        let named = Set(rules.rules.map(\.cause))
        #expect(
            named.isSuperset(of: [
                .source, .range, .greylist, .volume, .recipient, .mailbox, .content, .auth, .size, .domain, .host,
            ]))
        #expect(rules.rules.allSatisfy { !$0.source.isEmpty })
    }

    @Test(arguments: [
        "550 5.7.1 Message rejected as spam, see https://www.example.com/spamhaus-faq",
        "550 5.7.26 SPF check failed for 192.0.2.7",
        "550 5.7.1 The IP address 192.0.2.7 is not allowed by SPF record to send for customer.example",
        "554 5.7.1 DMARC policy of customer.example: rejected, client host 192.0.2.7",
        "552 5.7.0 attachment blocked; connection from your IP [192.0.2.7] logged",
        "550 5.7.1 very low reputation of the sending domain [192.0.2.7 19]",
        "554 5.7.1 Blacklisted URL in message",
        "550 5.7.1 your message contains a URL that is listed by dbl.spamhaus.org",
        "421 4.7.28 unusual rate of unsolicited mail originating from your DKIM domain",
        "554 5.7.1 Sender address [a@customer.example] blocked using rhsbl.example.org",
    ])
    func `what is about the author or the message never reads as about the address`(text: String) throws {
        let cause = try cause(builtIn(), text)
        #expect(cause != .source && cause != .range, "\(cause)")
    }

    @Test(arguments: [
        ("550 5.7.1 Service unavailable; client [192.0.2.7] blocked using list.example.org", Cause.source),
        ("550 5.7.1 your subnet 192.0.2.0/24 is blacklisted", .range), ("451 4.7.1 Greylisting in action", .greylist),
        ("421 too many connections from your host", .volume), ("550 No such user", .recipient),
        ("552 mailbox is full", .mailbox), ("552 message too large", .size), ("554 Relay access denied", .domain),
        ("550 This message has been identified as spam", .content), ("550 DKIM signature invalid", .auth),
    ])
    func `general wordings are read`(text: String, cause: Cause) throws {
        #expect(try self.cause(builtIn(), text) == cause)
    }

    @Test func `a rule of one's own is read with all it says`() throws {
        let (rules, problems) = try load(
            """
            rules:
              - id: own
                cause: volume
                sites: [Provider.example]
                phases: [banner, dot]
                codes: ["4xx", 550]
                statuses: ["*.7.*"]
                patterns: ["slow (down|up)"]
                unless: [never]
                hold: 90s
                disputed: true
                source: what they told us
                examples: ["421 4.7.0 slow down"]
              - { id: fresh, cause: source, refuses_unknown: true, patterns: [new], source: s, examples: [554 new] }
            """)
        #expect(problems == [])
        let rule = try #require(rules?.rules.first)
        #expect(rule.sites == ["provider.example"])
        #expect(rule.phases == [.banner, .dot])
        #expect(rule.hold == .seconds(90))
        #expect(rule.codes.count == 2 && rule.statuses.count == 1 && rule.unless == ["never"])
        #expect(rule.isDisputed && !rule.refusesUnknown)
        #expect(rule.place?.hasSuffix("/replies.yaml:2") == true)
        #expect(rules?.rules.last?.refusesUnknown == true && rules?.rules.last?.isDisputed == false)
    }

    @Test(arguments: [
        ("rules: []", "replies.yaml:1:8: rules: is empty; at least one entry is needed"),
        ("rule: []", "replies.yaml:1:1: rule: unknown key"),
        (
            "rules:\n  - { id: a, cause: sauce, source: s, examples: [550 a], patterns: [a] }",
            "replies.yaml:2:21: rules[0].cause: expected one of source,"
        ),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 a], pattern: [a] }",
            "replies.yaml:2:59: rules[0].pattern: unknown key"
        ),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 b], patterns: [a] }",
            "rules[0].examples[0]: rule \"a\": example \"550 b\" is read by \"base:unknown\""
        ),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 a], patterns: [(a] }",
            "rules[0].patterns[0]: rule \"a\": pattern \"(a\" has ( without )"
        ),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 a], codes: [5y0] }",
            "rules[0].codes[0]: expected a code such as 550 or 5xx"
        ),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 a], codes: [550], phases: [rctp] }",
            "rules[0].phases[0]: expected one of resolve, connect"
        ),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 a], patterns: [a], disputed: true }",
            "replies.yaml:2:84: rules[0].disputed: rule \"a\": cause source tries other sources"
        ),
        (
            "rules:\n  - { id: a, cause: host, source: s, examples: [450 a], codes: [450], refuses_unknown: true }",
            "rules[0].refuses_unknown: rule \"a\": an address"
        ),
        (
            "rules:\n  - { id: a, cause: host, source: s, examples: [450 a], codes: [450], disputed: 1 }",
            "rules[0].disputed: expected"
        ),
        ("rules:\n  - { id: a, cause: source, source: s, patterns: [a] }", "rules[0]: “examples” is missing"),
        (
            "rules:\n  - { id: a, cause: source, source: s, examples: [550 a], patterns: ['{us}'] }",
            "replies.yaml:2:70: rules[0].patterns[0]: rule \"a\": pattern \"{us}\": there is no list {us}"
        ),
        ("words: { us: [] }\nrules: []", "replies.yaml:1:14: words.us: is empty"),
        ("words: { us: ['a|b'] }\nrules: []", "words.us[0]: expected words without any of"),
        ("words: { Us: [a] }\nrules: []", "words.Us: the name of a list of words has small letters"),
    ])
    func `what is wrong is named with file, line and rule`(text: String, problem: String) throws {
        let (rules, problems) = try load(text)
        #expect(rules == nil)
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }
}
