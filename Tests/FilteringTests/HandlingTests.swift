import Mail
import NIOCore
import Testing

@testable import Filtering

@Suite struct `What is done with a message` {
    static func verdict(_ action: Verdict.Action, _ score: Double, says message: String? = nil) -> CheckResult {
        var verdict = Verdict(action: action, score: score, required: 15)
        verdict.smtpMessage = message
        return .verdict(verdict)
    }

    /// One word for what is done.
    static func word(_ handling: Handling) -> String {
        switch handling {
        case .accept(let screening, _): screening.verdict.rawValue
        case .hold: "held"
        case .refuse(let refusal): String(refusal.line(id: MessageID(value: 1)).prefix(3))
        }
    }

    @Test(arguments: [
        (Verdict.Action.noAction, "clean"), (.greylist, "clean"), (.addHeader, "suspect"), (.rewriteSubject, "suspect"),
        (.softReject, "451"), (.reject, "554"),
    ])
    func `as rspamd says`(_ action: Verdict.Action, _ expected: String) {
        #expect(Self.word(Configuration().handling(of: Self.verdict(action, 1), customer: "acme")) == expected)
    }

    @Test func `a virus is refused whatever its score`() {
        var verdict = Verdict(action: .noAction, score: -10, required: 15)
        verdict.virus = "Eicar\r\n250 Ok"
        let handling = Configuration().handling(of: .verdict(verdict), customer: "acme")
        #expect(handling == .refuse(.virus("Eicar?250?Ok")))
    }

    @Test func `what could not be checked is handled as the operator chose`() {
        var configuration = Configuration()
        #expect(Self.word(configuration.handling(of: .unavailable("x"), customer: "a")) == "451")
        configuration.unavailable = .hold
        #expect(Self.word(configuration.handling(of: .unavailable("x"), customer: "a")) == "held")
        configuration.unavailable = .accept
        #expect(Self.word(configuration.handling(of: .unavailable("x"), customer: "a")) == "unscanned")
        #expect(Self.word(configuration.handling(of: .tooLarge, customer: "a")) == "552")
        configuration.tooLarge = .pass
        #expect(Self.word(configuration.handling(of: .tooLarge, customer: "a")) == "unscanned")
    }

    @Test func `a customer's own thresholds move what the score decides`() {
        var configuration = Configuration(thresholds: .init(reject: 20))
        configuration.customers["strict"] = .init(thresholds: .init(reject: 5, addHeader: 2))
        configuration.customers["lax"] = .init(thresholds: .init(reject: 50, addHeader: 30))
        func word(_ action: Verdict.Action, _ score: Double, _ customer: String, says: String? = nil) -> String {
            Self.word(configuration.handling(of: Self.verdict(action, score, says: says), customer: customer))
        }
        #expect(word(.noAction, 3, "strict") == "suspect")
        #expect(word(.addHeader, 7, "strict") == "554")
        #expect(word(.addHeader, 7, "lax") == "clean")
        #expect(word(.reject, 16, "lax") == "clean")
        #expect(word(.reject, 16, "other") == "suspect")
        #expect(word(.reject, 21, "other") == "554")
        #expect(word(.reject, 15, "lax", says: "Gtube pattern") == "554", "a rule said so, not the score")
        #expect(word(.softReject, 1, "lax") == "451")
    }

    @Test func `a customer's own choice holds for what could not be checked`() {
        var configuration = Configuration()
        configuration.customers["patient"] = .init(unavailable: .hold, tooLarge: .pass)
        for (customer, unavailable, tooLarge) in [("patient", "held", "unscanned"), ("other", "451", "552")] {
            #expect(Self.word(configuration.handling(of: .unavailable("x"), customer: customer)) == unavailable)
            #expect(Self.word(configuration.handling(of: .tooLarge, customer: customer)) == tooLarge)
        }
        let own = Configuration.Policy(unavailable: .accept)
        #expect(Self.word(configuration.handling(of: .unavailable("x"), customer: "patient", own: own)) == "unscanned")
        #expect(Self.word(configuration.handling(of: .tooLarge, customer: "patient", own: own)) == "552")
    }

    @Test func `scores have two places`() {
        #expect([0, -0.5, 1.005, 12.345, -7].map(Screening.text) == ["0.00", "-0.50", "1.00", "12.35", "-7.00"])
        #expect(Screening.text(.infinity) == "0.00" && Screening.text(1e300) == "1000000000000.00")
    }
}

@Suite struct `Changes of a message` {
    static let message =
        "Received: ours\r\nFrom: a@b.example\r\nSubject: hi\r\n there\r\nX-Spam: 1\r\nX-spam: 2\r\n\r\nX-Spam: body\r\n"

    static func edit(
        _ message: String = message, _ build: (inout Verdict.Changes) -> Void
    ) -> (text: String, notes: [String]) {
        var changes = Verdict.Changes()
        build(&changes)
        var edits = HeaderEdits(content: ByteBuffer(string: message), start: 16, eightBit: false)
        edits.apply(changes)
        return (String(buffer: edits.content), edits.notes)
    }

    @Test func `fields are added on top of the client's, and removed by name and number`() {
        let edited = Self.edit {
            $0.add = [.init(name: "X-Spam-Flag", value: "YES")]
            $0.remove = [.init(name: "x-spam", which: 0), .init(name: "x-none", which: 0)]
        }
        #expect(
            edited.text
                == "Received: ours\r\nX-Spam-Flag: YES\r\nFrom: a@b.example\r\nSubject: hi\r\n there\r\n"
                + "\r\nX-Spam: body\r\n"
        )
        let first = Self.edit { $0.remove = [.init(name: "X-Spam", which: 1)] }
        #expect(!first.text.contains("X-Spam: 1") && first.text.contains("X-spam: 2"))
        let last = Self.edit { $0.remove = [.init(name: "X-Spam", which: -1)] }
        #expect(last.text.contains("X-Spam: 1") && !last.text.contains("X-spam: 2"))
        #expect(Self.edit { $0.remove = [.init(name: "X-Spam", which: .min)] }.text == Self.message)
    }

    @Test func `a subject is rewritten with its folded lines`() {
        let edited = Self.edit { $0.subject = "[spam] hi there" }
        #expect(edited.text.hasPrefix("Received: ours\r\nSubject: [spam] hi there\r\nFrom:"))
        #expect(!edited.text.contains(" there\r\nX") && edited.notes == ["Subject rewritten"])
    }

    @Test func `what its author signed is left alone`() {
        let signed = Self.message.replacing(
            "From:", with: "DKIM-Signature: v=1; d=b.example; h=From :\r\n\tSubject:x-spam ; bh=x; b=y\r\nFrom:")
        let edited = Self.edit(signed) {
            $0.subject = "other"
            $0.remove = [.init(name: "X-Spam", which: 0), .init(name: "DKIM-Signature", which: 0)]
            $0.add = [.init(name: "Subject", value: "x"), .init(name: "X-New", value: "1")]
            $0.content = ByteBuffer(string: "Subject: forged\r\n\r\n")
        }
        #expect(edited.text == signed.replacing("ours\r\n", with: "ours\r\nX-New: 1\r\n"))
        #expect(edited.notes.count == 6 && edited.notes.filter { $0.contains("signed") }.count == 4)
        #expect(edited.notes.contains("X-Spam not removed: its author has signed it"))
        var edits = HeaderEdits(content: ByteBuffer(string: signed), start: 16, eightBit: false)
        var changes = Verdict.Changes()
        (changes.subject, changes.content) = ("other", ByteBuffer(string: "Subject: forged\r\n\r\n"))
        changes.remove = [.init(name: "X-Spam", which: 0), .init(name: "X-Gone", which: 0)]
        changes.add = [.init(name: "Subject", value: "x")] + (0..<200).map { .init(name: "From", value: "\($0)") }
        edits.apply(changes)
        #expect(edits.signers == ["b.example"] && edits.spared.count == 100 && edits.notes.count == 20)
        let wishes = edits.spared.prefix(3).map { "\($0.wish) \($0.field)" }
        #expect(wishes == ["replace content", "remove X-Spam", "add Subject"])
    }

    @Test(arguments: ["a\r\n\r\nbody", "a\u{0}", "ä", String(repeating: "x", count: 1_200), "a\u{7F}"])
    func `no value breaks out of its field`(_ value: String) {
        let edited = Self.edit { $0.add = [.init(name: "X-New", value: value)] }
        let header = edited.text.split(separator: "\r\n\r\n", maxSplits: 1)[0]
        #expect(!header.contains("\r\nbody") && edited.text.hasSuffix("\r\n\r\nX-Spam: body\r\n"))
    }

    @Test(arguments: ["X: y", "", "X Y", "X\r\nEvil", "Received", "Ünicode", String(repeating: "x", count: 100)])
    func `no name that is none`(_ name: String) {
        #expect(Self.edit { $0.add = [.init(name: name, value: "1")] }.text == Self.message)
    }

    @Test func `a changed message is taken when SMTP may carry it`() {
        let good = Self.edit { $0.content = ByteBuffer(string: "Subject: new\r\n\r\nhello\r\n") }
        #expect(good.text == "Received: ours\r\nSubject: new\r\n\r\nhello\r\n")
        for bad in ["a\nb\r\n", "a\rb\r\n", "a", "a\u{0}\r\n", String(repeating: "x", count: 999) + "\r\n"] {
            #expect(Self.edit { $0.content = ByteBuffer(string: bad) }.text == Self.message)
        }
    }

    @Test func `a message that is not one is left as it is`() {
        for text in [
            "Received: ours\r\n", "Received: ours\r\nno header", "Received: ours\r\n\r\n", "Received: ours\r\n: x\r\n",
        ] {
            let edited = Self.edit(text) { $0.remove = [.init(name: "X", which: 0)] }
            #expect(edited.text == text)
        }
    }
}
