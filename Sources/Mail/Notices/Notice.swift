package import NIOCore

/// A delivery status notification (RFC 3464 section 2), put together without I/O: what stands before the part of the
/// original that it brings back, and what stands after it.
package struct Notice: Sendable {
    /// Its own id.
    package var id: MessageID
    /// Printable, up to 60 octets, and nothing that the original could have guessed.
    package var boundary: String
    package var date: Timestamp
    /// This relay.
    package var hostname: String
    package var to: Address
    package var about: About
    package var kind: NoticeKind
    /// It tells the postmaster that a notice could not be delivered.
    package var isUndeliverable: Bool
    /// 1 or more, all of its kind.
    package var reports: [RecipientReport]
    package var texts: NoticeTexts

    package init(
        id: MessageID, boundary: String, date: Timestamp, hostname: String, to: Address, about: About,
        kind: NoticeKind, isUndeliverable: Bool = false, reports: [RecipientReport], texts: NoticeTexts
    ) {
        self.id = id
        self.boundary = boundary
        self.date = date
        self.hostname = hostname
        self.to = to
        self.about = about
        self.kind = kind
        self.isUndeliverable = isUndeliverable
        self.reports = reports
        self.texts = texts
    }

    /// The message that it is about.
    package struct About: Sendable {
        package var id: MessageID
        package var arrived: Timestamp
        package var expires: Timestamp
        package var request: NoticeRequest?

        package init(id: MessageID, arrived: Timestamp, expires: Timestamp, request: NoticeRequest?) {
            self.id = id
            self.arrived = arrived
            self.expires = expires
            self.request = request
        }
    }

    /// How the original comes back.
    package enum Enclosure: Sendable, Hashable {
        /// Its header fields; ``ByteBuffer/writeHeaders(of:)`` says whether they had to be encoded.
        case headers(encoded: Bool)
        case message(eightBit: Bool)
    }

    /// Everything before the octets of the original.
    package func opening(_ enclosure: Enclosure) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(2_048 + reports.count * 512)
        writeHeader(to: &buffer)
        writeDelimiter(to: &buffer, last: false)
        writeExplanation(enclosure, to: &buffer)
        writeDelimiter(to: &buffer, last: false)
        buffer.writeStaticString("Content-Description: Delivery report\r\n")
        buffer.writeStaticString("Content-Type: message/delivery-status\r\n\r\n")
        writeFields(to: &buffer)
        writeDelimiter(to: &buffer, last: false)
        switch enclosure {
        case .headers(let encoded):
            buffer.writeStaticString("Content-Description: Header of the message\r\n")
            buffer.writeStaticString("Content-Type: text/rfc822-headers; charset=utf-8\r\n")
            // RFC 6522 section 4 allows it for header fields that are not 7-bit.
            if encoded { buffer.writeStaticString("Content-Transfer-Encoding: quoted-printable\r\n") }
        case .message(let eightBit):
            buffer.writeStaticString("Content-Description: The message\r\n")
            buffer.writeStaticString("Content-Type: message/rfc822\r\n")
            if eightBit { buffer.writeStaticString("Content-Transfer-Encoding: 8bit\r\n") }
        }
        buffer.writeStaticString("\r\n")
        return buffer
    }

    /// Everything after them.
    package func closing() -> ByteBuffer {
        var buffer = ByteBuffer()
        writeDelimiter(to: &buffer, last: true)
        return buffer
    }

    private func writeDelimiter(to buffer: inout ByteBuffer, last: Bool) {
        buffer.writeStaticString("\r\n--")
        buffer.writeString(boundary)
        buffer.writeStaticString(last ? "--\r\n" : "\r\n")
    }

    private func writeHeader(to buffer: inout ByteBuffer) {
        Self.writeHeader(
            to: &buffer, from: texts.from, hostname: hostname, to: to,
            subject: PlainText.line(filled(passage.subject)), date: date, id: id)
        // RFC 3834 section 5: nobody is to answer it.
        buffer.writeStaticString("Auto-Submitted: auto-replied\r\n")
        buffer.writeString(
            "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"\(boundary)\"\r\n\r\n")
    }

    /// The fields of all that we write ourselves.
    static func writeHeader(
        to buffer: inout ByteBuffer, from name: String, hostname: String, to: Address, subject: String,
        date: Timestamp, id: MessageID
    ) {
        buffer.writeStaticString("From: ")
        let from = PlainText.line(name, limit: 100)
        if from.utf8.allSatisfy({ $0 < 128 }) {
            buffer.writeString("\"\(from.filter { $0 != "\"" && $0 != "\\" })\"")
        } else {
            buffer.writeUnstructured(from, column: 6)
        }
        buffer.writeString(" <MAILER-DAEMON@\(hostname)>\r\nTo: <\(to)>\r\nSubject: ")
        buffer.writeUnstructured(subject, column: 9)
        buffer.writeStaticString("\r\nDate: ")
        buffer.writeDateTime(date)
        buffer.writeString("\r\nMessage-ID: <\(id)@\(hostname)>\r\nMIME-Version: 1.0\r\n")
    }

    var passage: NoticeTexts.Passage { texts.passage(kind, undeliverable: isUndeliverable) }

    func filled(_ template: String, _ values: [String: String] = [:]) -> String {
        let common = [
            "host": hostname, "id": about.id.description, "date": Self.dateTime(about.arrived),
            "until": Self.dateTime(about.expires),
        ]
        return NoticeTexts.filled(template, common.merging(values) { $1 })
    }

    private static func dateTime(_ time: Timestamp) -> String {
        var buffer = ByteBuffer()
        buffer.writeDateTime(time)
        return String(buffer: buffer)
    }
}

extension ByteBuffer {
    /// Appends header fields as a notice brings them back: as they are where they are lines of US-ASCII of ordinary
    /// length, else as quoted-printable.
    ///
    /// - Parameter fields: up to and without the empty line.
    package mutating func writeHeaders(of fields: ByteBufferView) {
        if Self.needsEncoding(fields) {
            writeQuotedPrintable(fields)
        } else {
            writeBytes(fields)
        }
    }

    package static func needsEncoding(_ fields: ByteBufferView) -> Bool {
        var column = 0
        for octet in fields {
            column = octet == 10 ? 0 : column + 1
            if octet > 126 || (octet < 32 && octet != 9 && octet != 10 && octet != 13) || column > 900 { return true }
        }
        return false
    }

    /// The header fields at the start of a message, without the empty line.
    ///
    /// - Parameter limit: octets; longer ones are cut after the last line that fits.
    package func headerFields(limit: Int) -> ByteBufferView {
        let whole = readableBytesView
        var end = whole.startIndex
        var line = whole.startIndex
        while let feed = whole[line...].firstIndex(of: 10) {
            if feed - line == 1, whole[line] == 13 { break }
            if feed + 1 - whole.startIndex > limit { break }
            line = feed + 1
            end = line
        }
        return whole[whole.startIndex..<end]
    }
}
