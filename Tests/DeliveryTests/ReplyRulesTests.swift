import Delivery
import Mail
import Testing

@Suite struct ReplyRulesTests {
    private func rule(
        _ id: String, _ cause: Cause, _ patterns: [String] = [], example: String,
        _ change: (inout ReplyRule) -> Void = { _ in }
    ) -> ReplyRule {
        var rule = ReplyRule(id: id, cause: cause, source: "a test", examples: [example])
        rule.patterns = patterns
        change(&rule)
        return rule
    }

    private func read(_ rules: ReplyRules, _ text: String, phase: Phase = .rcpt, site: String = "") throws -> Reading {
        let reply = try #require(Reply(example: text))
        return rules.read(PhaseAnswer(phase: phase, answer: .reply(reply)), site: site)
    }

    /// Whether a pattern stands in a text.
    private func stands(_ pattern: String, in text: String, example: String) throws -> Bool {
        let rules = try ReplyRules([rule("it", .source, [pattern], example: example)])
        return rules.read(PhaseAnswer(phase: .rcpt, answer: .reply(Reply(550, nil, text))), site: "").rule == "it"
    }

    @Test func `the first rule that fits reads the reply`() throws {
        let rules = try ReplyRules([
            rule("domain", .auth, ["reputation * domain"], example: "550 bad reputation of the sending domain"),
            rule("address", .source, ["reputation"], example: "550 5.7.1 poor reputation"),
        ])
        #expect(try read(rules, "550 5.7.1 low REPUTATION of your Domain").rule == "domain")
        #expect(try read(rules, "421 low reputation").rule == "address")
        #expect(try read(rules, "421 reputations").rule == "base:rcpt-421")
        #expect(try read(rules, "421 low reputation").cause == .source)
    }

    @Test func `a phrase may be broken over lines that repeat the status`() throws {
        let rules = try ReplyRules([
            rule("address", .source, ["reputation of the sending IP"], example: "550 reputation of the sending IP")
        ])
        let reply = Reply(
            550, EnhancedStatus(5, 7, 1), "very low reputation of\n5.7.1 the\n5.7.1 sending \t IP address. 5.7.1")
        #expect(rules.read(PhaseAnswer(phase: .dot, answer: .reply(reply)), site: "").rule == "address")
    }

    @Test(arguments: [
        ("IP", "your ip is bad", true), ("IP", "your zip is bad", false), ("IP", "[IP]", true), ("IP", "ip_x", false),
        ("greylist~", "you are greylisted", true), ("~list~", "you are greylisted", true),
        ("greylist", "greylisted", false),
        ("a * b", "a b", true), ("a * b", "b a", false), ("a * b", "b a a b", true), ("x y * y z", "x y z", false),
        ("(a|b) * (c|d)", "b then d", true), ("(a|b) * (c|d)", "c then a", false),
        ("mailbox (is |)full", "mailbox full", true),
        ("mailbox (is |)full", "mailbox is full", true), ("bücher", "die bücher sind", true), ("b", "bücher", false),
        ("a ... b", "a 1 2 3 4 5 b", true), ("a ... b", "a 1 2 3 4 5 6 b", false), ("a ... b", "a. b", false),
        ("a ... b", "a 1 2 3 4 5 6 a b", true), ("a ... b", "a, then: b", true), ("a b ... b c", "a b c", false),
        ("(a|b) (c|d)", "b c", true), ("(a|b) (c|d)", "b x c", false), ("(a|b) (c|d)", "b, c", true),
        ("a * b ... c", "b c a b x c", true), ("a ... b * c", "a b 1 2 3 4 5 6 7 c", true),
    ])
    func `fragments stand in order, at the edges of words`(pattern: String, text: String, found: Bool) throws {
        let plain = [
            "a * b": "a b", "(a|b) * (c|d)": "a c", "x y * y z": "x y y z", "a ... b": "a b", "a b ... b c": "a b b c",
            "(a|b) (c|d)": "a c", "a * b ... c": "a b c", "a ... b * c": "a b c",
        ]
        let example = plain[pattern] ?? pattern.replacing("~", with: "").replacing("(is |)", with: "")
        #expect(try stands(pattern, in: text, example: "550 \(example)") == found)
    }

    @Test(arguments: [
        ("gesperrt für empfänger", "GESPERRT F\u{DC}R EMPF\u{C4}NGER"), ("bloquée", "BLOQUEE"), ("groß", "gross"),
        ("skrzynka jest pełna", "Skrzynka jest pelna"), ("заблокирован ещё", "ЗАБЛОКИРОВАН ЕЩЕ"), ("nao", "não"),
        ("isn't", "isn\u{2019}t"), ("no such", "no\u{A0}such"), ("œuvre æ", "oeuvre ae"),
    ])
    func `case and accents make no difference`(pattern: String, text: String) throws {
        #expect(try stands(pattern, in: text, example: "550 \(pattern)"))
        #expect(try stands(text, in: pattern, example: "550 \(text)"))
    }

    @Test(arguments: [
        ("spam", "550 <anti-spam@spam.example>: no", false), ("no", "550 <anti-spam@spam.example>: no", true),
        ("[0.0.0.0] blocked", "550 [192.0.2.7] blocked", true), ("0.0.0.0", "550 version 1.2.3", false),
        ("0.0.0.0", "550 2001:db8:0:1:2:3:4:5 is bad", true), ("0.0.0.0 is", "550 2001:db8::25 is bad", true),
        ("0.0.0.0", "550 at 00:05:00", false), ("0.0.0.0", "550 1.2.3.4.5", true), ("0.0.0.0", "550 1.2.3.4567", false),
        ("0.0.0.0", "550 a1.2.3.4", false), ("0.0.0.0", "550 denied...192.0.2.7", true),
        ("0.0.0.0", "550 1..2.3.4.5", true), ("0.0.0.0", "550 a.1.2.3.4", false),
        ("@ is", "550 b@example.com is unknown", true),
    ])
    func `addresses are an echo`(pattern: String, text: String, found: Bool) throws {
        let rules = try ReplyRules([rule("it", .source, [pattern], example: "550 \(pattern)")])
        #expect((try read(rules, text).rule == "it") == found)
    }

    @Test(arguments: [
        ("blocked", "550 mail.blocked.example: no", false), ("blocked", "550 mail.blocked.example was blocked", true),
        ("blocked", "550 mx-blocked.host.example said no", false),
        ("blocked", "550 was blocked.See www.host.example", true),
        ("blocked", "550 was blocked. See www.host.example", true), ("blocked", "550 blocked.example", false),
        ("blocked", "550 it was blocked.to be sure", true), ("blocked", "550 (host.blocked.net)", false),
        ("blocked", "550 blocked...mx.host.example", true), ("spam~", "550 by spammers.lists.example", false),
        ("spam~", "550 spammers", true), ("spam~", "550 a.spammers-1.host.example.", false),
        ("lists", "550 spam.lists.example", true), ("lists.example", "550 spam.lists.example", true),
        ("x-y.lists", "550 x-y.lists.example", true), ("blocked", "550 blocked\u{1E}example", true),
    ])
    func `plain words are not read in the names of hosts`(pattern: String, text: String, found: Bool) throws {
        let rules = try ReplyRules(
            [rule("it", .source, [pattern], example: "550 \(pattern.replacing("~", with: ""))")],
            lists: ["plain": ["blocked", "spam"]])
        #expect((try read(rules, text).rule == "it") == found)
    }

    @Test func `lists of words stand for one another`() throws {
        let lists = ["user": ["user", "mail box"], "gone": ["unknown", "bad~"]]
        let rules = try ReplyRules(
            [rule("it", .recipient, ["{user} ... {gone}"], example: "550 user x badly")], lists: lists)
        #expect(try read(rules, "550 your mail box is unknown").rule == "it")
        #expect(try read(rules, "550 your mailbox is unknown").rule != "it")
        #expect(throws: ReplyRuleError.self) {
            try ReplyRules([rule("it", .source, ["{no}"], example: "550 a")], lists: lists)
        }
        #expect(throws: ReplyRuleError.self) {
            try ReplyRules([rule("it", .source, ["user}"], example: "550 a")], lists: lists)
        }
    }

    @Test func `phase and site need not be known`() throws {
        let rules = try ReplyRules([
            rule("banner", .source, ["no"], example: "554 no") { $0.phases = [.banner] },
            rule("site", .content, ["no"], example: "554 no") { $0.sites = ["provider.example"] },
        ])
        #expect(rules.read(Reply(554, nil, "no"), in: nil, site: nil).rule == "base:unknown")
        #expect(rules.read(Reply(554, nil, "no"), in: .banner, site: nil).rule == "banner")
        #expect(rules.read(Reply(554, nil, "no"), in: nil, site: "mx.provider.example").rule == "site")
    }

    @Test func `what a rule names besides the words must hold too`() throws {
        let rules = try ReplyRules([
            rule("scoped", .source, ["no"], example: "554 5.7.1 no") { rule in
                rule.sites = ["provider.example"]
                rule.phases = [.banner, .mail]
                rule.codes = ["55x"].compactMap(ReplyRule.Code.init)
                rule.statuses = ["*.7.1"].compactMap(ReplyRule.Status.init)
                rule.unless = ["no * thanks"]
                rule.hold = .hours(2)
            }
        ])
        let site = "10 mx1.provider.example 20 mx2.provider.example"
        #expect(
            try read(rules, "554 5.7.1 no", phase: .mail, site: site)
                == Reading(cause: .source, rule: "scoped", hold: .hours(2)))
        #expect(try read(rules, "554 5.7.1 no", phase: .mail, site: "provider.example").rule == "scoped")
        #expect(try read(rules, "554 5.7.1 no", phase: .mail, site: "10 mx.otherprovider.example").rule != "scoped")
        #expect(try read(rules, "554 5.7.1 no", phase: .mail, site: "10 provider.example.net").rule != "scoped")
        #expect(try read(rules, "554 5.7.1 no", phase: .rcpt, site: site).rule != "scoped")
        #expect(try read(rules, "564 5.7.1 no", phase: .mail, site: site).rule != "scoped")
        #expect(try read(rules, "554 5.7.10 no", phase: .mail, site: site).rule != "scoped")
        #expect(try read(rules, "554 no", phase: .mail, site: site).rule != "scoped")
        #expect(try read(rules, "554 5.7.1 no, thanks", phase: .mail, site: site).rule != "scoped")
    }

    @Test func `what is disputed, and who refuses strangers, is told with the cause`() throws {
        let rules = try ReplyRules([
            rule("stranger", .source, ["who are you"], example: "554 who are you") { $0.refusesUnknown = true },
            rule("unclear", .content, ["policy"], example: "554 policy") { $0.isDisputed = true },
            rule("clear", .content, ["spam"], example: "554 spam"),
        ])
        #expect(
            try read(rules, "554 who are you")
                == Reading(cause: .source, rule: "stranger", isDisputed: false, refusesUnknown: true))
        #expect(
            try read(rules, "554 policy")
                == Reading(cause: .content, rule: "unclear", isDisputed: true, refusesUnknown: false))
        #expect(try read(rules, "554 spam") == Reading(cause: .content, rule: "clear"))
        #expect(throws: ReplyRuleError.self, "only an address is known or unknown") {
            try ReplyRules([rule("x", .volume, ["x"], example: "450 x") { $0.refusesUnknown = true }])
        }
        #expect(throws: ReplyRuleError.self, "that is tried from other sources as it is") {
            try ReplyRules([rule("x", .source, ["x"], example: "450 x") { $0.isDisputed = true }])
        }
    }

    @Test func `a time that the reply names counts more than the rule's`() throws {
        let rules = try ReplyRules([
            rule("grey", .greylist, ["greylisted"], example: "451 greylisted") { $0.hold = .minutes(5) }
        ])
        #expect(try read(rules, "451 greylisted").hold == .minutes(5))
        #expect(try read(rules, "451 greylisted for 20 minutes").hold == .minutes(20))
    }

    @Test func `a status or a code alone can be a rule`() throws {
        let rules = try ReplyRules([
            rule("busy", .volume, example: "451 4.7.500 anything") {
                $0.statuses = ["4.7.5xx"].compactMap(ReplyRule.Status.init)
            }
        ])
        #expect(try read(rules, "451 4.7.599 x").rule == "busy")
        #expect(try read(rules, "451 4.7.600 x").rule == "base:unknown")
    }

    @Test(
        arguments: [
            ("451 Greylisted, please come back in 00:05:00", 300), ("450 greylisted for 60 seconds", 60),
            ("450 Greylisted for 5 minutes (2)", 300), ("451 greylisted, 2 hours", 7_200), ("451 greylisted", nil),
            ("451 greylisted 99999999999999999999 minutes", nil), ("451 greylisted 0 seconds", nil),
            ("451 greylisted 90000 hours", nil), ("451 greylisted 1:2", nil), ("451 greylisted, 1 day", 86_400),
            ("451 greylisted, warten Sie 10 Minuten", 600), ("451 greylisted pendant une heure", 3_600),
            ("451 greylisted, espere 5 minutos", 300), ("451 greylisted: attendere 2 ore", 7_200),
            ("451 greylisted: aguarde 30 segundos", 30), ("451 greylisted, over 5 minuten", 300),
            ("451 greylisted, za chwile, 15 minut", 900), ("451 greylisted через 20 минут", 1_200),
            ("451 greylisted, retry in 300s", 300), ("451 greylisted 5min", 300), ("451 greylisted in an hour", 3_600),
            ("451 greylisted 3 minutes ago, 5 minutes to go", 300), ("451 greylisted, 10 per 60 seconds", nil),
            ("451 greylisted for 1 hour and 30 minutes", 5_400), ("451 greylisted: 1h30m", 5_400),
            ("451 greylisted, 2 min 30 sec", 150), ("451 greylisted, back in half an hour", 1_800),
            ("451 greylisted, in einer halben Stunde", 1_800), ("451 greylisted for 300 more seconds", 300),
            ("451 greylisted, wait 5-10 minutes", 600), ("451 greylisted, retry-after: 300", 300),
            ("451 greylisted, retry after 120", 120),
            ("451 greylisted 5 minutes 5 minutes", 300), ("451 greylisted 99999 days 99999 hours", nil),
            ("451 greylisted 1h30", nil), ("451 greylisted 1 minute and 1 hour", 60),
        ] as [(String, Int64?)])
    func `the wait that a greylister names is kept`(text: String, seconds: Int64?) throws {
        let rules = try ReplyRules([rule("grey", .greylist, ["greylisted"], example: "451 greylisted")])
        let reading = try read(rules, text)
        #expect(reading == Reading(cause: .greylist, rule: "grey", hold: seconds.map { .seconds($0) }))
    }

    @Test(
        arguments: [
            (Cause.source, "550 blocked for 24 hours", 86_400), (.source, "550 blocked for 5 minutes", nil),
            (.source, "550 no answer within 24 hours", nil), (.host, "451 try again in 10 minutes", 600),
            (.host, "451 timed out after 300 seconds", nil), (.volume, "421 10 minutes", 600),
            (.content, "550 try again in 10 minutes", nil),
        ] as [(Cause, String, Int64?)])
    func `a time is read where it is about what the cause is about`(cause: Cause, text: String, seconds: Int64?) throws
    {
        let rules = try ReplyRules([
            rule("it", cause, example: text) { $0.codes = ["4xx", "5xx"].compactMap(ReplyRule.Code.init) }
        ])
        #expect(try read(rules, text).hold == seconds.map { .seconds($0) })
    }

    // MARK: What no rule reads

    @Test(arguments: [
        ("550 5.1.1 x", Phase.rcpt, Cause.recipient), ("550 5.1.2 x", .rcpt, .domain), ("452 4.2.2 x", .rcpt, .mailbox),
        ("550 5.7.26 x", .dot, .auth), ("550 5.7.25 x", .rcpt, .source), ("552 5.3.4 x", .dot, .size),
        ("550 5.7.1 x", .rcpt, .unknown), ("450 x", .rcpt, .unknown), ("421 x", .dot, .host),
        ("554 x", .banner, .source),
        ("450 x", .banner, .host), ("500 x", .ehlo, .protocol), ("550 x", .ehlo, .source), ("454 x", .starttls, .tls),
        ("552 x", .rcpt, .mailbox), ("552 x", .dot, .size), ("452 x", .rcpt, .volume), ("503 x", .data, .protocol),
        ("556 x", .rcpt, .domain), ("550 5.6.7 x", .rcpt, .protocol), ("530 x", .mail, .domain),
    ])
    func `status, code and phase are what remains`(text: String, phase: Phase, cause: Cause) throws {
        let reading = try read(ReplyRules([]), text, phase: phase)
        #expect(reading.cause == cause)
        #expect(reading.rule.hasPrefix("base:"))
    }

    @Test(arguments: [
        (Answer.Trouble.timeout, Phase.connect, Cause.host), (.timeout, .dot, .uncertain), (.connection, .rcpt, .host),
        (.connection, .dot, .uncertain), (.nonsense, .ehlo, .protocol), (.tls, .starttls, .tls),
        (.local, .connect, .local),
        (.forbidden, .connect, .domain), (.missingExtension, .mail, .protocol), (.tooLarge, .mail, .size),
    ])
    func `trouble has its cause`(trouble: Answer.Trouble, phase: Phase, cause: Cause) throws {
        let answer = PhaseAnswer(phase: phase, answer: .trouble(trouble, "as it happened"))
        #expect(try ReplyRules([]).read(answer, site: "").cause == cause)
    }

    @Test func `a yes where none was due is a broken protocol`() throws {
        let answer = PhaseAnswer(phase: .data, answer: .reply(Reply(250, nil, "ok")))
        #expect(try ReplyRules([]).read(answer, site: "").cause == .protocol)
    }

    // MARK: Checking

    @Test(
        arguments: [
            (["a (b"], "pattern \"a (b\" has ( without )"), (["a|b"], "has ) or | outside ( )"), (["*"], "is empty"),
            (["a~b"], "~ stands at its ends only"), (["(a * b)"], "* outside of ( )"),
            (["(a|)"], "a fragment is not empty"),
            (["((a))"], "groups do not nest"),
            (["(a|b|c|d)(a|b|c|d)(a|b|c|d)(a|b|c|d)(a|b|c|d)"], "stands for more than 512"),
            ([], "would read everything"),
        ] as [([String], String)])
    func `a pattern that cannot be is named with its rule`(patterns: [String], problem: String) {
        let error = #expect(throws: ReplyRuleError.self) {
            try ReplyRules([
                rule("good", .source, ["a"], example: "550 a"), rule("bad", .source, patterns, example: "550 a"),
            ])
        }
        #expect(error?.index == 1)
        #expect(error?.description.contains("rule \"bad\": ") == true)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test func `an example that another rule reads is an error that names both`() {
        let error = #expect(throws: ReplyRuleError.self) {
            try ReplyRules([
                rule("wide", .content, ["spam~"], example: "550 spam"),
                rule("narrow", .source, ["spamhaus"], example: "550 listed by spamhaus"),
            ])
        }
        #expect(error?.description == "rule \"narrow\": example \"550 listed by spamhaus\" is read by \"wide\"")
    }

    @Test func `ids are unique, and every rule has an example that is a reply`() {
        func problem(_ rules: [ReplyRule]) -> String? {
            #expect(throws: ReplyRuleError.self) { try ReplyRules(rules) }?.problem
        }
        let good = rule("a", .source, ["a"], example: "550 a")
        #expect(problem([good, good]) == "the id stands twice")
        #expect(problem([rule("base:x", .source, ["a"], example: "550 a")])?.hasPrefix("the id is empty") == true)
        #expect(problem([rule("b", .source, ["a"], example: "a")])?.contains("reply code") == true)
        #expect(problem([rule("b", .source, ["a"], example: "250 a")])?.contains("reply code") == true)
        var none = good
        none.examples = []
        #expect(problem([none]) == "it has no example")
    }

    @Test(arguments: ["", "5", "55", "5500", "x50", "5x0", "650", "xxx", "-50"])
    func `a code is three digits, the last ones may be x`(text: String) {
        #expect(ReplyRule.Code(text) == nil)
    }

    @Test(arguments: ["", "5.7", "5.7.1.1", "5..1", "a.7.1", "5.x7.1", "5.7.1000", "5.7.-1"])
    func `a status is three numbers or wildcards`(text: String) {
        #expect(ReplyRule.Status(text) == nil)
    }

    // MARK: Hostile replies

    @Test func `what stands far behind is not read`() throws {
        let rules = try ReplyRules([
            rule("many", .source, ["a * a * a * a * b"], example: "550 a a a a b"),
            rule("late", .content, ["end"], example: "550 end"),
        ])
        let long = Reply(550, nil, String(repeating: "a ", count: 1_000_000) + "end")
        #expect(rules.read(PhaseAnswer(phase: .rcpt, answer: .reply(long)), site: "").rule == "base:unknown")
    }

    @Test func `no bytes make it trap`() throws {
        let rules = try ReplyRules([rule("x", .source, ["(a|é) ... 5~", "0.0.0.0", "@ * ж"], example: "550 a 5")])
        var state: UInt64 = 88_172_645_463_325_252
        for _ in 0..<2_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int(state % 60) {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                bytes.append(
                    [10, 58, 64, 46, 53, 208, 97, 195, 169, UInt8(truncatingIfNeeded: state)][Int(state % 10)])
            }
            state &+= 1
            let reply = Reply(550, nil, String(decoding: bytes, as: UTF8.self))
            _ = rules.read(
                PhaseAnswer(phase: .rcpt, answer: .reply(reply)), site: String(decoding: bytes, as: UTF8.self))
        }
    }
}
