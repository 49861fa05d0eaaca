import NIOCore
import NIOHTTP1

/// A question in the words of rspamd's protocol: https://docs.rspamd.com/developers/protocol
enum RspamdRequest {
    /// Recipients that go along; rspamd makes little of more.
    private static let recipients = 1_000
    /// Octets of one header value: an address of RFC 5321 is far shorter.
    private static let longest = 1_024

    static func head(_ question: Question, host: String) -> HTTPRequestHead {
        var headers: HTTPHeaders = [
            "host": host, "content-length": "\(question.content.readableBytes)", "content-type": "message/rfc822",
            "user-agent": "figaro", "accept": "application/json",
            // The whole message comes back where a rule has changed it.
            "Flags": "body_block",
        ]
        func add(_ name: String, _ value: String?) {
            guard let value else { return }
            headers.add(name: name, value: Self.value(value))
        }
        add("From", question.sender)
        for recipient in question.recipients.prefix(Self.recipients) { add("Rcpt", recipient) }
        add("IP", question.client)
        add("Helo", question.hello)
        add("User", question.user)
        add("Queue-Id", question.queueID)
        add("TLS-Version", question.tls)
        add("Hostname", question.hostname)
        for field in question.passed { add(field.name, field.value) }
        return HTTPRequestHead(version: .http1_1, method: .POST, uri: "/checkv2", headers: headers)
    }

    /// A header value that cannot end its line: control characters, which no name or address needs, are left out as
    /// their percent-encoding, and what is too long is cut.
    static func value(_ text: String) -> String {
        var octets: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for octet in text.utf8 {
            guard octets.count < longest else { break }
            if octet < 32 || octet == 127 {
                octets += [UInt8(ascii: "%"), digits[Int(octet >> 4)], digits[Int(octet & 15)]]
            } else {
                octets.append(octet)
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
