package import NIOCore

/// What the postmaster reads when nobody's mail may spoil the addresses of all, and a customer was held for it.
package struct HoldNotice: Sendable {
    /// Its own id.
    package var id: MessageID
    package var date: Timestamp
    /// This relay.
    package var hostname: String
    package var to: Address
    package var customer: String
    package var since: Timestamp
    package var why: String
    /// How many sources each receiver refused because of it.
    package var receivers: [String: Int]
    package var texts: NoticeTexts

    package init(
        id: MessageID, date: Timestamp, hostname: String, to: Address, customer: String, since: Timestamp, why: String,
        receivers: [String: Int], texts: NoticeTexts
    ) {
        self.id = id
        self.date = date
        self.hostname = hostname
        self.to = to
        self.customer = customer
        self.since = since
        self.why = why
        self.receivers = receivers
        self.texts = texts
    }

    /// Receivers that are named; the others are counted.
    private static let named = 50

    /// The whole message; nil where the texts have nothing to say about holds.
    package func content() -> ByteBuffer? {
        guard let passage = texts.held else { return nil }
        var buffer = ByteBuffer()
        Notice.writeHeader(
            to: &buffer, from: texts.from, hostname: hostname, to: to,
            subject: PlainText.line(filled(passage.subject), limit: 200), date: date, id: id)
        // RFC 3834 section 5: nobody caused it by a message of theirs.
        buffer.writeStaticString("Auto-Submitted: auto-generated\r\nContent-Type: text/plain; charset=utf-8\r\n")
        buffer.writeString("Content-Language: \(texts.language)\r\n")
        buffer.writeStaticString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
        buffer.writeQuotedPrintable((filled(passage.opening) + "\n").utf8)
        return buffer
    }

    private func filled(_ template: String) -> String {
        var since = ByteBuffer()
        since.writeDateTime(self.since)
        return NoticeTexts.filled(
            template,
            [
                "host": hostname, "date": String(buffer: since), "customer": PlainText.line(customer, limit: 200),
                "why": PlainText.line(why), "receivers": listed,
            ])
    }

    private var listed: String {
        let sorted = receivers.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        var lines = sorted.prefix(Self.named).map { "    \(PlainText.line($0.key, limit: 300)): \($0.value)" }
        if sorted.count > Self.named { lines.append("    + \(sorted.count - Self.named)") }
        return lines.isEmpty ? "    -" : lines.joined(separator: "\n")
    }
}
