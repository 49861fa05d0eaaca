/// One file of a support bundle.
struct SupportPart: Codable, Sendable, Hashable {
    /// Of the file, without slashes.
    var part: String
    var text: String
}

extension TraceReport {
    /// Without local parts of addresses, also where a receiver repeated them in its words.
    ///
    /// - Parameter locals: local parts that are known to belong to the message.
    func redacted(_ locals: Set<String>) -> TraceReport {
        var report = self
        func redact(_ text: String?) -> String? { text.map { Redaction.text($0, locals: locals) } }
        report.to = to.map(Redaction.address)
        report.from = from.map(Redaction.address)
        report.sender = sender.map(Redaction.address)
        report.helo = redact(helo)
        report.reply = redact(reply)
        report.trouble = redact(trouble)
        report.why = redact(why)
        report.reason = redact(reason)
        return report
    }

    /// The local parts of all its addresses.
    var locals: [String] { (to + [from, sender].compactMap(\.self)).compactMap(Redaction.local) }
}
