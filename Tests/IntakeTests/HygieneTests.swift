import Mail
import NIOCore
import Queue
import Testing

@testable import Intake

@Suite("Fields that are taken out") struct HygieneTests {
    @Test(arguments: [
        "Bcc: boss@x.example", "Resent-Bcc: boss@x.example", "Return-Path: <a@x.example>",
        "bcc : a@x.example,\r\n\tb@y",
        "X-Figaro-Verdict: clean", "Authentication-Results: relay.example; spf=pass",
        "Authentication-Results:\r\n RELAY.example;\r\n dkim=pass",
    ])
    func `what is not the customer's to send goes, and nothing else`(_ field: String) async throws {
        try await Relay.with { relay in
            for text in [
                "\(field)\r\nSubject: x\r\n", "Subject: x\r\n\(field)\r\n", "\(field)\r\nSubject: x\r\n\(field)\r\n",
            ] {
                let client = try await relay.clientInData()
                #expect(
                    try await client.ask(text + "Date: d\r\nMessage-ID: <m@x>\r\n\r\nBcc: body\r\n.").hasPrefix("250 "))
                let accepted = try #require(relay.mail.accepted.last)
                #expect(
                    relay.content(accepted).hasSuffix(
                        "+0000\r\nSubject: x\r\nDate: d\r\nMessage-ID: <m@x>\r\n\r\nBcc: body\r\n"))
                #expect(accepted.message.size == relay.content(accepted).utf8.count)
            }
        }
    }

    @Test func `a message of nothing else still gets its header`() async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            #expect(try await client.ask("Bcc: a@x.example\r\n\r\nbody\r\n.").hasPrefix("250 "))
            let content = relay.content(try #require(relay.mail.accepted.first))
            #expect(
                !content.contains("Bcc") && content.contains("Date: ")
                    && content.hasSuffix("@relay.example>\r\n\r\nbody\r\n"))
        }
    }

    @Test(arguments: ["h=From : BCC: Subject", "h=from:\r\n\tbcc"])
    func `what a signature covers stays`(_ names: String) async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            let text =
                "DKIM-Signature: v=1; d=x.example;\r\n \(names); b=abc\r\nBcc: a@x.example\r\n"
                + "Return-Path: <a@x>\r\nDate: d\r\nMessage-ID: <m@x>\r\n\r\nbody\r\n"
            #expect(try await client.ask(text + ".").hasPrefix("250 "))
            let content = relay.content(try #require(relay.mail.accepted.first))
            #expect(content.contains("Bcc: a@x.example\r\n") && !content.contains("Return-Path"))
        }
    }

    @Test(arguments: ["Authentication-Results: other.example; spf=pass", "X-Bcc: 1", "Received: by x"])
    func `what others say is theirs`(_ field: String) async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            let text = "\(field)\r\nDate: d\r\nMessage-ID: <m@x>\r\n\r\nbody\r\n"
            #expect(try await client.ask(text + ".").hasPrefix("250 "))
            #expect(relay.content(try #require(relay.mail.accepted.first)).hasSuffix("+0000\r\n" + text))
        }
    }

    @Test(arguments: ["Subject: a\r\nno field at all\r\nDate: b\r\n\r\nbody\r\n", "Subject: a\r\n: b\r\n\r\nbody\r\n"])
    func `a header that is none to the end is refused`(_ text: String) async throws {
        try await Relay.with { relay in
            let client = try await relay.clientInData()
            #expect(try await client.ask(text + ".") == "554 5.6.0 A line of the header is no field\r\n")
            #expect(relay.mail.accepted.isEmpty)
        }
    }
}
