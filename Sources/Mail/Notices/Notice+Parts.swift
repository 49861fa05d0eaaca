import NIOCore

/// What people and machines read of a notice.
extension Notice {
    // MARK: for people

    func writeExplanation(_ enclosure: Enclosure, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("Content-Description: Notification\r\nContent-Type: text/plain; charset=utf-8\r\n")
        buffer.writeString("Content-Language: \(texts.language)\r\n")
        buffer.writeStaticString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
        var text = filled(passage.opening) + "\n"
        for report in reports { text += "\n" + explanation(of: report) }
        let follows = if case .message = enclosure { texts.messageFollows } else { texts.headersFollow }
        text += "\n" + filled(follows) + "\n"
        buffer.writeQuotedPrintable(text.utf8)
    }

    func explanation(of report: RecipientReport) -> String {
        var lines = ["<\(PlainText.line(report.recipient.description))>"]
        if let original = original(of: report)?.text, original != report.recipient.description {
            lines[0] += " (\(PlainText.line(original)))"
        }
        let values = values(of: report)
        func say(_ template: String) { lines += filled(template, values).split(separator: "\n").map(String.init) }
        if report.kind == .relayed {
            say(texts.relayed)
            return lines.joined(separator: "\n    ") + "\n"
        }
        if report.kind == .expired, report.refusal != nil { say(texts.expired) }
        switch report.refusal?.answer {
        case .reply(let reply):
            say(texts.said)
            lines.append("    " + PlainText.line(reply.description))
        case .trouble(let trouble, let words):
            say(texts.trouble)
            lines.append("    " + filled(texts.reasons[report.refusal?.reason ?? .unknown] ?? "", values))
            if trouble == .returned { lines.append("    " + PlainText.line(words)) }
        case nil:
            switch report.kind {
            case .expired: say(texts.noAnswer)
            case .delayed: say(texts.noAnswerYet)
            case .failed, .relayed: say(texts.reasons[.unknown] ?? "")
            }
        }
        if let way = report.way { lines += told(of: way, values) }
        if let refusal = report.refusal, let advice = texts.advice[refusal.cause] { say(advice) }
        return lines.joined(separator: "\n    ") + "\n"
    }

    /// What words in braces mean for one recipient.
    private func values(of report: RecipientReport) -> [String: String] {
        var values = ["domain": PlainText.line(report.recipient.domain)]
        values["remote"] = report.refusal?.host.map { PlainText.line($0) } ?? values["domain"]
        values["limit"] = report.refusal?.answer.sizeLimit.map { "\($0)" } ?? "?"
        if let way = report.way {
            values["sources"] = "\(way.sources)"
            values["attempts"] = "\(way.attempts)"
            values["handed"] = "\(way.handed)"
        }
        return values
    }

    private func told(of way: RecipientReport.Way, _ values: [String: String]) -> [String] {
        var lines = filled(way.handed > 0 ? texts.relayRefused : texts.relayDown, values)
            .split(separator: "\n").map(String.init)
        if let reply = way.reply { lines += [filled(texts.relaySaid), "    " + PlainText.line(reply.description)] }
        return lines
    }

    // MARK: for machines

    /// The fields of RFC 3464 section 2.2 for the message and section 2.3 for each recipient.
    func writeFields(to buffer: inout ByteBuffer) {
        buffer.writeString("Reporting-MTA: dns; \(hostname)\r\n")
        if let envelopeID = about.request?.envelopeID, let text = Xtext.decode(envelopeID.utf8) {
            field("Original-Envelope-Id", text, &buffer)
        }
        buffer.writeStaticString("Arrival-Date: ")
        buffer.writeDateTime(about.arrived)
        buffer.writeStaticString("\r\n")
        for report in reports {
            buffer.writeStaticString("\r\n")
            writeFields(of: report, to: &buffer)
        }
    }

    private func writeFields(of report: RecipientReport, to buffer: inout ByteBuffer) {
        if let original = original(of: report) {
            field("Original-Recipient", "\(original.type);\(original.text)", &buffer)
        }
        let address = report.recipient.description
        // RFC 6533 section 3: what is not US-ASCII is of another type.
        let type = address.utf8.allSatisfy { $0 < 128 } ? "rfc822" : "utf-8"
        field("Final-Recipient", "\(type); \(address)", &buffer)
        field("Action", action(of: report.kind), &buffer)
        field("Status", report.status.description, &buffer)
        if let host = report.refusal?.host {
            let literal = IPAddress(host).map { $0.isIPv4 ? "[\($0)]" : "[IPv6:\($0)]" }
            field("Remote-MTA", "dns; \(literal ?? host)", &buffer)
        }
        switch report.refusal?.answer {
        case .reply(let reply): field("Diagnostic-Code", "smtp; \(reply)", &buffer)
        case .trouble(.returned, _): field("Diagnostic-Code", "X-Figaro; \(report.reason)", &buffer)
        case .trouble(_, let text): field("Diagnostic-Code", "X-Figaro; \(text)", &buffer)
        case nil: if report.kind != .relayed { field("Diagnostic-Code", "X-Figaro; \(report.reason)", &buffer) }
        }
        if let refusal = report.refusal, refusal.reason != .returned {
            buffer.writeStaticString("Last-Attempt-Date: ")
            buffer.writeDateTime(refusal.at)
            buffer.writeStaticString("\r\n")
        }
        field("Final-Log-ID", about.id.description, &buffer)
        if report.kind == .delayed {
            buffer.writeStaticString("Will-Retry-Until: ")
            buffer.writeDateTime(about.expires)
            buffer.writeStaticString("\r\n")
        }
    }

    private func action(of kind: RecipientReport.Kind) -> String {
        switch kind {
        case .relayed: "relayed"
        case .failed, .expired: "failed"
        case .delayed: "delayed"
        }
    }

    private func field(_ name: String, _ value: String, _ buffer: inout ByteBuffer) {
        buffer.writeString("\(name): ")
        buffer.writeFolded(PlainText.ascii(value), column: name.utf8.count + 2)
        buffer.writeStaticString("\r\n")
    }

    /// ORCPT, decoded.
    private func original(of report: RecipientReport) -> (type: String, text: String)? {
        guard let written = about.request?[report.recipient]?.original,
            let semicolon = written.firstIndex(of: ";"),
            let text = Xtext.decode(written[written.index(after: semicolon)...].utf8)
        else { return nil }
        return (String(written[..<semicolon]), text)
    }
}
