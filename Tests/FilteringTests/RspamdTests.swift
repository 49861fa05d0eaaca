import NIOCore
import NIOHTTP1
import Testing

@testable import Filtering

@Suite struct `What rspamd answers` {
    static func read(
        _ json: String, status: HTTPResponseStatus = .ok, headers: HTTPHeaders = [:], tail: String = ""
    ) throws -> Verdict {
        try RspamdAnswer.read(
            status: status, headers: headers, body: ByteBuffer(string: json + tail), limit: 8
        ).verdict
    }

    /// As rspamd 3.4 says it.
    static let suspect = """
        {"is_skipped":false,"score":10.5,"required_score":15.0,"action":"rewrite subject","subject":"[spam] hi",\
        "symbols":{"A":{"name":"A","score":-0.5,"metric_score":-0.5},"B":{"name":"B","score":11.0,"options":["why"]}},\
        "messages":{},"message-id":"undef","time_real":0.000139,\
        "milter":{"remove_headers":{"X-Spam":0,"X-Two":2},"add_headers":{"X-Spam-Test":"yes",\
        "X-Many":[{"value":"1","order":0},"2"],"X-One":{"value":"3","order":1}}}}
        """

    @Test func `a verdict has all of it`() throws {
        let verdict = try Self.read(Self.suspect)
        #expect(verdict.action == .rewriteSubject)
        #expect(verdict.score == 10.5 && verdict.required == 15)
        #expect(verdict.symbols.map(\.name) == ["A", "B"])
        #expect(verdict.symbols.last?.options == ["why"])
        #expect(verdict.changes.subject == "[spam] hi")
        #expect(
            verdict.changes.add.map { "\($0.name): \($0.value)" } == [
                "X-Many: 1", "X-Many: 2", "X-One: 3", "X-Spam-Test: yes",
            ])
        #expect(verdict.changes.remove.map { "\($0.name) \($0.which)" } == ["X-Spam 0", "X-Two 2"])
    }

    @Test func `a scan that was broken off is no verdict`() throws {
        let clean = #"{"score":0,"required_score":15,"action":"no action","symbols":{},"time_real":"#
        #expect(try Self.read(clean + "7.5}").action == .noAction)
        #expect(throws: NodeFailure("broke off its scan, out of time")) { try Self.read(clean + "8.001}") }
        let soft = #"{"score":0,"action":"soft reject","messages":{"smtp_message":"timeout processing message"}}"#
        #expect(throws: NodeFailure.self) { try Self.read(soft) }
        let later = soft.replacing("processing", with: "post-processing")
        #expect(throws: NodeFailure.self) { try Self.read(later) }
        let decided = #"{"score":0,"action":"soft reject","passthrough_module":"task timeout"}"#
        #expect(throws: NodeFailure.self) { try Self.read(decided) }
        #expect(try Self.read(decided.replacing("task timeout", with: "greylisting")).action == .softReject)
        let reject = #"{"score":20,"required_score":15,"action":"reject","time_real":9}"#
        #expect(try Self.read(reject).action == .reject)
    }

    @Test func `where rspamd says its limit that one counts`() throws {
        func answer(_ time: Double, _ options: String) -> String {
            #"{"score":0,"action":"no action","time_real":\#(time),"#
                + #""symbols":{"FIGARO_TASK_TIMEOUT":{"score":0\#(options)}}}"#
        }
        for (time, said, isBrokenOff) in [
            (1.001, "1", true), (0.99, "1", true), (0.9, "1", false), (9, "15", false), (14.9, "15.0", true),
            (7.5, "0", false), (8.1, "-1", true), (8.1, "nan", true), (8.1, "soon", true),
        ] {
            let text = answer(time, #","options":["\#(said)"]"#)
            if isBrokenOff {
                #expect(throws: NodeFailure("broke off its scan, out of time"), "\(text)") { try Self.read(text) }
            } else {
                #expect(try Self.read(text).action == .noAction, "\(time) \(said)")
            }
        }
        #expect(throws: NodeFailure.self) { try Self.read(answer(8.1, "")) }
        #expect(throws: NodeFailure.self) { try Self.read(answer(8.1, #","options":[]"#)) }
    }

    @Test(arguments: [
        "", "garbage", "{}", "[]", #"{"action":"no action"}"#, #"{"score":1}"#, #"{"action":"sing","score":0}"#,
        #"{"action":7,"score":0}"#, #"{"action":"no action","score":"0"}"#,
        #"{"error":"no","score":0,"action":"reject"}"#,
        #"{"action":"no action","score":0"#, #"{"action":"no action","score":1e400}"#,
        #"{"action":"no action","score":nan}"#, #"{"action":"no action","score":0} {}"#,
        #"{"action":"no action","score":0,"milter":{"add_headers":{"X":7}}}"#,
        #"{"action":"no action","score":0,"milter":{"remove_headers":{"X":1e30}}}"#,
        #"{"action":"no action","score":0,"symbols":[]}"#,
        #"{"action":"no action","score":0,"a":"# + String(repeating: "[", count: 100_000),
        #"{"action":"no action","score":0,"a":"# + String(repeating: "[", count: 100_000)
            + String(repeating: "]", count: 100_000) + "}",
    ])
    func `what is no answer is no verdict`(_ text: String) {
        #expect(throws: NodeFailure.self) { try Self.read(text) }
    }

    @Test func `more than is read is no verdict`() {
        let long = #"{"action":"no action","score":0,"a":""# + String(repeating: "x", count: RspamdReply.limit) + #""}"#
        #expect(throws: NodeFailure("answered more than is read")) { try Self.read(long) }
    }

    @Test func `no octets make it trap`() {
        var random = SystemRandomNumberGenerator()
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"action\"", "\"score\"", "\"symbols\"", "\"milter\"", "\"add_headers\"",
            "\"reject\"", "1e308", "-0", "9223372036854775808", "null", "true", "\"\\ud83d\"", "\u{0}", "\"", " ",
        ]
        for _ in 0..<3_000 {
            let count = Int.random(in: 0..<24, using: &random)
            let text = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            _ = try? Self.read("{" + text)
        }
    }

    @Test func `only 200 counts`() {
        #expect(throws: NodeFailure("answered 500")) { try Self.read(Self.suspect, status: .internalServerError) }
    }

    @Test func `a message that was changed comes behind the answer`() throws {
        let json = #"{"score":0,"action":"no action"}"#
        let verdict = try Self.read(json, headers: ["Message-Offset": "\(json.utf8.count)"], tail: "Subject: x\r\n\r\n")
        #expect(verdict.changes.content.map { String(buffer: $0) } == "Subject: x\r\n\r\n")
        for offset in ["0", "-1", "99999", "x", "9223372036854775807"] {
            #expect(throws: NodeFailure.self) { try Self.read(json, headers: ["Message-Offset": offset]) }
        }
    }

    @Test func `to be thrown away means to be refused, to be kept means to be held`() throws {
        let discard = #"{"score":0,"action":"no action","milter":{"reject":"discard"}}"#
        #expect(try Self.read(discard).action == .reject)
        #expect(try Self.read(#"{"score":0,"action":"discard"}"#).action == .reject)
        #expect(try Self.read(#"{"score":0,"action":"quarantine"}"#).isQuarantined)
    }
}

@Suite struct `What rspamd is asked` {
    @Test func `the envelope goes along, and cannot break out of its lines`() {
        var question = Question(content: ByteBuffer(string: "x"))
        question.sender = "a\r\nPass: all@b.example"
        question.recipients = ["c@d.example", "e@f.example\u{0}"]
        question.client = "192.0.2.1"
        question.hello = "host.example"
        question.user = "acme"
        question.queueID = "Q1"
        let head = RspamdRequest.head(question, host: "h")
        #expect(head.headers["From"] == ["a%0D%0APass: all@b.example"])
        #expect(head.headers["Rcpt"] == ["c@d.example", "e@f.example%00"])
        #expect(head.headers["Helo"] == ["host.example"] && head.headers["IP"] == ["192.0.2.1"])
        #expect(head.headers["User"] == ["acme"] && head.headers["Queue-Id"] == ["Q1"])
        #expect(head.headers["Pass"] == [] && head.headers["content-length"] == ["1"])
        #expect(RspamdRequest.value(String(repeating: "ä", count: 5_000)).utf8.count <= 1_026)
    }
}

@Suite struct `What clamd answers` {
    @Test func `found, or not`() throws {
        #expect(try ClamdAnswer.read("stream: OK") == .clean)
        #expect(try ClamdAnswer.read("stream: Test.EICAR.UNOFFICIAL FOUND") == .virus("Test.EICAR.UNOFFICIAL"))
    }

    @Test(arguments: [
        "INSTREAM size limit exceeded. ERROR", "stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND",
    ])
    func `over its limits is not clean`(_ text: String) {
        #expect(throws: (any Error).self) { try ClamdAnswer.read(text) }
        do { _ = try ClamdAnswer.read(text) } catch { #expect(error.isTooLarge) }
    }

    @Test(arguments: [
        "", "OK", "stream: OK\n", "stream:  OK", "stream: FOUND", "stream:  FOUND",
        "stream: Can't allocate memory ERROR",
        "UNKNOWN COMMAND", "stream: OK FOUND ERROR", "\u{0}", "stream: \u{1F600}",
    ])
    func `everything else is an error`(_ text: String) {
        #expect(throws: NodeFailure.self) { try ClamdAnswer.read(text) }
    }
}

@Suite struct `Two answers are one` {
    static func answer(_ action: Verdict.Action) -> RspamdAnswer {
        RspamdAnswer(json: FilterNode.bare, verdict: Verdict(action: action, score: 1, required: 15))
    }

    @Test func `a virus beats everything`() throws {
        for score in [.success(Self.answer(.noAction)), .failure(NodeFailure("x")), nil]
            as [Result<RspamdAnswer, NodeFailure>?]
        {
            let joined = Joined(score: score, scan: .success(.virus("V")))
            guard case .verdict(let verdict) = joined.result else { return #expect(Bool(false), "\(joined)") }
            #expect(verdict.virus == "V" && verdict.action == .reject)
            let handedOn = try RspamdAnswer.read(
                status: .ok, headers: [:], body: joined.json ?? ByteBuffer(), limit: 8
            ).verdict
            #expect(handedOn.virus == "V" && handedOn.action == .reject)
        }
    }

    @Test func `nothing passes that one of them has not seen`() {
        let (clean, broken) = (Self.answer(.noAction), NodeFailure("broken"))
        #expect(Joined(score: .success(clean), scan: .failure(broken)).result == .unavailable("broken"))
        #expect(Joined(score: .failure(broken), scan: .success(.clean)).result == .unavailable("broken"))
        #expect(Joined(score: .success(clean), scan: .failure(NodeFailure("l", isTooLarge: true))).result == .tooLarge)
        #expect(Joined(score: .success(clean), scan: .success(.clean)).result == .verdict(clean.verdict))
    }

    @Test func `a rejection stands alone`() {
        let reject = Self.answer(.reject)
        #expect(Joined(score: .success(reject), scan: .failure(NodeFailure("x"))).result == .verdict(reject.verdict))
    }
}
