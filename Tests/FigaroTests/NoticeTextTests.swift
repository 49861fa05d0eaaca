import Delivery
import NIOCore
import NIOPosix
import Testing

@testable import Figaro
@testable import Mail

/// What notices say, and what an operator may write about it.
@Suite struct `Texts of notices` {
    static let builtIn = NoticeTextFiles.load(nil, Problems()) ?? [:]

    static let node = """
        hostname: relay.example
        spool: /tmp/spool
        listeners: [{ address: 127.0.0.1, port: 2525 }]

        """

    func check(_ more: String) throws -> (node: NodeConfiguration?, problems: [String]) {
        let (node, problems) = try decodeNode(Self.node + more)
        guard let node, problems.isEmpty else { return (node, problems) }
        let found = Problems()
        LoadedConfiguration.check(node, Self.builtIn, found)
        return (node, found.list.map(\.description))
    }

    @Test func `are there in English and German, and say the same things`() throws {
        #expect(Set(Self.builtIn.keys) == ["en", "de"])
        let english = try #require(Self.builtIn["en"])
        let german = try #require(Self.builtIn["de"])
        #expect(Set(english.advice.keys) == Set(german.advice.keys))
        #expect(english != german)
        for texts in [english, german] {
            for kind in NoticeKind.allCases {
                let notice = Notice(
                    id: MessageID(value: 1), boundary: "b", date: Timestamp(milliseconds: 0), hostname: "relay.example",
                    to: Address(localPart: "a", domain: "b.example"),
                    about: Notice.About(
                        id: MessageID(value: 2), arrived: Timestamp(milliseconds: 0),
                        expires: Timestamp(milliseconds: 0), request: nil),
                    kind: kind,
                    reports: [
                        RecipientReport(
                            recipient: Address(localPart: "c", domain: "d.example"), kind: .failed, reason: "x",
                            at: Timestamp(milliseconds: 0))
                    ], texts: texts)
                let text = String(buffer: notice.opening(.headers(encoded: false)))
                #expect(text.contains("Content-Language: \(texts.language)\r\n"))
                #expect(text.utf8.allSatisfy { $0 < 127 })
                #expect(!text.contains("{"))
            }
        }
    }

    @Test(arguments: [
        ("en", 2, "asked 2 times to deliver it", "That service said:"),
        ("en", 0, "could not be reached in time", ""),
        ("de", 2, "2 Mal um die Zustellung gebeten", "Dieser Dienst antwortete:"),
        ("de", 0, "nicht rechtzeitig zu erreichen", ""),
    ])
    func `have the receiver's words first and then the relay's`(
        _ language: String, _ handed: Int, _ told: String, _ said: String
    ) throws {
        let texts = try #require(Self.builtIn[language])
        let now = Timestamp(milliseconds: 1_800_000_000_000)
        let report = RecipientReport(
            recipient: Address(localPart: "c", domain: "d.example"), kind: handed > 0 ? .failed : .expired, reason: "x",
            refusal: Refusal(
                host: "mx.d.example", phase: .rcpt, answer: .reply(Reply(554, nil, "listed by zen")), cause: .source,
                at: now), at: now,
            way: RecipientReport.Way(
                sources: 4, attempts: 5, relay: "provider", handed: handed, said: "connection refused",
                reply: handed > 0 ? Reply(550, nil, "not through us") : nil))
        let notice = Notice(
            id: MessageID(value: 1), boundary: "b", date: now, hostname: "relay.example",
            to: Address(localPart: "a", domain: "b.example"),
            about: Notice.About(id: MessageID(value: 2), arrived: now, expires: now, request: nil), kind: .failure,
            reports: [report], texts: texts)
        let text = notice.explanation(of: report)
        let order = ["listed by zen", "4", told, said, handed > 0 ? "not through us" : ""].filter { !$0.isEmpty }
        var rest = text[...]
        for words in order {
            let found = try #require(rest.firstRange(of: words), "\(words) in \(text)")
            rest = rest[found.upperBound...]
        }
        #expect(!text.contains("{") && !text.contains("connection refused") && !text.contains("provider"), "\(text)")
    }

    @Test func `may be added and replaced by files`() throws {
        let folder = try TemporaryFolder()
        let english = BuiltInFile.noticeEnglish
        try folder.write("a.yaml", english.replacing("language: en", with: "language: fr"))
        try folder.write("b.yaml", english.replacing("from: Mail Delivery System", with: "from: Posty"))
        let problems = Problems()
        let texts = try #require(NoticeTextFiles.load(folder.path, problems))
        #expect(texts.keys.sorted() == ["de", "en", "fr"])
        #expect(texts["en"]?.from == "Posty")
    }

    @Test(arguments: [
        ("language: en", "language: e", "a language tag"), ("from: ", "form: ", "did you mean “from”?"),
        ("until {until},", "until {untill},", "{untill} is none of"),
        ("{remote} said", "{remote said", "a { without a }"),
        ("  recipient:", "  receipient:", "is no cause — did you mean “recipient”?"),
        ("relayed: Taken by {remote}.", "", "“relayed” is missing"),
        ("  null_mx: ", "  nullmx: ", "“null_mx” is missing"),
    ])
    func `that are wrong are named with file and key`(_ old: String, _ new: String, _ expected: String) throws {
        let folder = try TemporaryFolder()
        let english = BuiltInFile.noticeEnglish
        try folder.write("x.yaml", english.replacing(old, with: new, maxReplacements: 1))
        let problems = Problems()
        #expect(NoticeTextFiles.load(folder.path, problems) == nil)
        let found = problems.list.map(\.description).joined(separator: "\n")
        let words = expected.split(separator: " — ")
        #expect(words.allSatisfy { found.contains($0) }, "\(found)")
    }

    @Test func `of one language stand in one file`() throws {
        let folder = try TemporaryFolder()
        let english = BuiltInFile.noticeEnglish
        try folder.write("a.yaml", english)
        try folder.write("b.yaml", english)
        let problems = Problems()
        #expect(NoticeTextFiles.load(folder.path, problems) == nil)
        #expect(problems.list.contains { $0.description.contains("a.yaml has as well") })
    }

    @Test func `are chosen for the node and by customer`() throws {
        let (node, problems) = try check(
            """
            notices: { language: DE, delay_after: never, full_message: 10KB, gather: 1s }
            customers: { acme: { networks: [127.0.0.1/32], language: en }, globex: { networks: [127.0.0.2/32] } }

            """)
        #expect(problems == [])
        let notices = try #require(node).notices
        #expect(notices.language == "de" && notices.languages == ["acme": "en"])
        #expect(notices.delayAfter == nil && notices.fullMessage == 10 << 10 && notices.gather == .seconds(1))
        let plain = try check("customers: { acme: { networks: [127.0.0.1/32] } }\n")
        #expect(plain.problems == [])
        #expect(plain.node?.notices.delayAfter == .hours(4))
    }

    @Test(arguments: [
        ("notices: { language: fr }", "notices.language: no texts for “fr”"),
        ("notices: { delay_after: 1s }", "must be from 5s"),
        ("notices: { delay_after: soon }", "expected a span"), ("notices: { langauge: en }", "did you mean"),
    ])
    func `that are not there are an error`(_ more: String, _ expected: String) throws {
        let (_, problems) = try check(more + "\ncustomers: { acme: { networks: [127.0.0.1/32] } }\n")
        #expect(problems.contains { $0.contains(expected) }, "\(problems)")
    }

    @Test func `of a customer that are not there are an error at its place`() throws {
        let (_, problems) = try check("customers: { acme: { networks: [127.0.0.1/32], language: gm } }\n")
        #expect(problems.contains { $0.contains("relay.yaml:4") && $0.contains("no texts for “gm”") }, "\(problems)")
    }
}

/// What people read of a recipient, in each language: no word of it may come from our own log.
@Suite struct `The reason in a notice` {
    static let now = Timestamp(milliseconds: 0)
    static let reader = Address(localPart: "c", domain: "d.example")

    func text(
        _ language: String, _ kind: RecipientReport.Kind, _ refusal: Refusal?, way: RecipientReport.Way? = nil
    ) throws -> String {
        let report = RecipientReport(
            recipient: Self.reader, kind: kind, reason: "our own log", refusal: refusal, at: Self.now, way: way)
        let notice = Notice(
            id: MessageID(value: 1), boundary: "b", date: Self.now, hostname: "relay.example",
            to: Address(localPart: "a", domain: "b.example"),
            about: Notice.About(id: MessageID(value: 2), arrived: Self.now, expires: Self.now, request: nil),
            kind: kind.notice, reports: [report], texts: try #require(`Texts of notices`.builtIn[language]))
        return notice.explanation(of: report)
    }

    func refusal(_ phase: Phase, _ answer: Answer, _ status: EnhancedStatus? = nil) -> Refusal {
        Refusal(host: "mx.d.example", phase: phase, answer: answer, cause: .unknown, at: Self.now, status: status)
    }

    static let troubles: [(Phase, Answer, EnhancedStatus?, String)] = [
        (.resolve, .trouble(.forbidden, "our own log"), EnhancedStatus(5, 1, 2), "Die Domain d.example gibt es nicht."),
        (.resolve, .trouble(.forbidden, "our own log"), EnhancedStatus(5, 1, 10), "(Null-MX)"),
        (.resolve, .trouble(.forbidden, "our own log"), EnhancedStatus(5, 4, 4), "keinen Server, der Mail"),
        (.resolve, .trouble(.timeout, "our own log"), nil, "Die Nameserver von d.example haben nicht gesagt"),
        (.connect, .trouble(.timeout, "our own log"), nil, "mx.d.example war nicht zu erreichen."),
        (.connect, .trouble(.connection, "our own log"), nil, "mx.d.example war nicht zu erreichen."),
        (.mail, .trouble(.timeout, "our own log"), nil, "mx.d.example hat nicht rechtzeitig geantwortet."),
        (.dot, .trouble(.connection, "our own log"), nil, "Die Verbindung zu mx.d.example ist abgebrochen."),
        (.ehlo, .trouble(.nonsense, "our own log"), nil, "das kein SMTP ist"),
        (.starttls, .trouble(.tls, "our own log"), nil, "nicht so verschlüsseln"),
        (.connect, .trouble(.local, "our own log"), nil, "auf unserer Seite"),
        (.auth, .trouble(.missingExtension, "our own log"), nil, "auf unserer Seite"),
        (.connect, .trouble(.forbidden, "our own log"), nil, "an die keine Mail gesendet wird"),
        (.mail, .trouble(.missingExtension, "our own log"), nil, "SMTPUTF8"),
        (.mail, .trouble(.missing8BitMIME, "our own log"), nil, "8-Bit-Zeichen"),
        (.mail, .tooLarge(limit: 2_000), nil, "bis höchstens 2000 Oktette"),
        (.resolve, .trouble(.returned, "falsche Preise {host}"), nil, "falsche Preise {host}"),
    ]

    @Test(arguments: troubles.indices)
    func `is German where the customer is, and of no log`(_ number: Int) throws {
        let (phase, answer, status, words) = Self.troubles[number]
        let refusal = refusal(phase, answer, status)
        for kind in [RecipientReport.Kind.failed, .expired, .delayed] {
            let german = try text("de", kind, refusal)
            #expect(german.contains(words), "\(german)")
            #expect(german.contains("aus diesem Grund:"))
            #expect(!german.contains("our own log") && !german.contains("octets"))
            #expect(german.contains("bis ihre Zeit um war") == (kind == .expired))
            let english = try text("en", kind, refusal)
            #expect(!english.contains("our own log") && english != german)
        }
    }

    @Test func `is there where nothing was answered`() throws {
        #expect(try text("de", .expired, nil).contains("Bis die Zeit um war, hat kein Server geantwortet."))
        #expect(try text("de", .delayed, nil).contains("Bis jetzt hat kein Server geantwortet."))
        #expect(try text("de", .failed, nil).contains("Ein Grund ist nicht bekannt."))
    }

    @Test func `quotes a relay's words and nothing else of it`() throws {
        let refused = refusal(.rcpt, .reply(Reply(550, nil, "your address is blocked")))
        var way = RecipientReport.Way(
            sources: 4, attempts: 5, relay: "smart", handed: 2, said: "our own log", reply: Reply(554, nil, "not us"))
        let german = try text("de", .failed, refused, way: way)
        #expect(german.contains("mx.d.example antwortete:\n        550 your address is blocked"))
        #expect(german.contains("von 4 unserer Adressen abgewiesen, bei 5 Versuchen."))
        #expect(german.contains("2 Mal um die Zustellung gebeten und nahm sie auch nicht an."))
        #expect(german.contains("Dieser Dienst antwortete:\n        554 not us"))
        #expect(!german.contains("our own log"))
        (way.handed, way.reply) = (0, nil)
        let silent = try text("de", .expired, refused, way: way)
        #expect(silent.contains("war nicht rechtzeitig zu erreichen.") && !silent.contains("our own log"))
        #expect(!silent.contains("Dieser Dienst"))
    }

    @Test func `has a sentence for each kind in every language`() throws {
        for texts in `Texts of notices`.builtIn.values {
            #expect(Set(texts.reasons.keys) == Set(NoticeReason.allCases))
            #expect(texts.reasons.values.allSatisfy { !$0.isEmpty })
        }
    }
}

@Suite struct `The route of notices` {
    static let map = "ranges: { v: { cidr: 192.0.2.0/31, ehlo: o.example } }\npools: { main: { members: [v] } }\n"

    @Test func `is chosen by the sender <>`() throws {
        let (map, problems) = try expand([
            "a.yaml": Self.map + "routes: { back: { when: { sender: <> }, steps: [pool main/1] } }"
        ])
        #expect(problems == [])
        #expect(map?.map.routes["back"]?.when == IPMap.Condition(nullSender: true))
        #expect(map?.map.routes["back"]?.steps == [IPMap.Step(pool: "main", budget: 1)])
        #expect(map?.map.routes["default"]?.steps == [IPMap.Step(pool: "main", budget: 4)])
    }

    @Test(arguments: [
        ("{ back: { steps: [pool main/1] } }", "needs “when”"),
        ("{ back: { when: someday, steps: [pool main/1] } }", "expected a mapping"),
        ("{ back: { when: { sender: a@b.example }, steps: [pool main/1] } }", "expected <>"),
        ("{ default: { when: { sender: <> }, steps: [pool main/1] } }", "for everything that no other route is for"),
        (
            "{ a: { when: { sender: <> }, steps: [pool main/1] }, b: { when: { sender: <> }, steps: [pool main/1] } }",
            "is for the same mail as the route “a”"
        ),
        ("{ back: { when: { sendr: <> }, steps: [pool main/1] } }", "did you mean “sender”?"),
    ])
    func `is declared without mistakes`(_ routes: String, _ expected: String) throws {
        let (map, problems) = try expand(["a.yaml": Self.map + "routes: " + routes])
        #expect(map == nil)
        #expect(problems.contains { $0.contains(expected) }, "\(problems)")
    }
}
