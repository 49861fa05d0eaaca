import Mail

/// Reads what notices say: the languages that are built in, and those of a folder, where a file of the same language
/// takes the place of the built-in one.
enum NoticeTextFiles {
    /// - Parameter folder: nil for the built-in languages alone.
    /// - Returns: by language tag; nil when something was wrong, and `problems` says what.
    static func load(_ folder: String?, _ problems: Problems) -> [String: NoticeTexts]? {
        var texts: [String: NoticeTexts] = [:]
        let builtIn = [
            ("built-in notice-en.yaml", BuiltInFile.noticeEnglish),
            ("built-in notice-de.yaml", BuiltInFile.noticeGerman),
        ]
        for (name, text) in builtIn {
            guard let file = YAMLFile.parse(text, file: name, problems), let read = decode(file) else {
                return nil
            }
            texts[read.language] = read
        }
        guard let folder else { return problems.isEmpty ? texts : nil }
        var own: [String: String] = [:]
        for name in YAMLFolder.files(in: folder, called: "the folder of texts for notices", problems) ?? [] {
            guard let file = YAMLFile.read("\(folder)/\(name)", problems), var read = decode(file) else { continue }
            if let other = own.updateValue(name, forKey: read.language) {
                file.complain("has the language “\(read.language)”, which \(other) has as well")
            }
            read.held = read.held ?? texts[read.language]?.held ?? texts["en"]?.held
            texts[read.language] = read
        }
        return problems.isEmpty ? texts : nil
    }

    static func decode(_ file: Field) -> NoticeTexts? {
        let read = file.section { section -> NoticeTexts? in
            let language = section.required("language").flatMap { field in
                field.value("a language tag such as de or pt-BR") { isTag($0) ? $0.lowercased() : nil }
            }
            let from = section.required("from").flatMap(text)
            let failure = section.required("failure").flatMap(passage)
            let delay = section.required("delay").flatMap(passage)
            let success = section.required("success").flatMap(passage)
            let undeliverable = section.required("undeliverable").flatMap(passage)
            // Files of one's own that were written before there were such notices have the built-in English.
            let held = section.optional("held").flatMap(passage)
            let said = section.required("said").flatMap(text)
            let expired = section.required("expired").flatMap(text)
            let noAnswer = section.required("no_answer").flatMap(text)
            let noAnswerYet = section.required("no_answer_yet").flatMap(text)
            let trouble = section.required("trouble").flatMap(text)
            let relayed = section.required("relayed").flatMap(text)
            let relayRefused = section.required("relay_refused").flatMap(text)
            let relayDown = section.required("relay_down").flatMap(text)
            let relaySaid = section.required("relay_said").flatMap(text)
            let reasons = section.required("reasons")?.section(self.reasons)
            let advice = section.optional("advice")?.section(self.advice)
            let headersFollow = section.required("headers_follow").flatMap(text)
            let messageFollows = section.required("message_follows").flatMap(text)
            guard let language, let from, let failure, let delay, let success, let undeliverable, let said,
                let expired, let noAnswer, let noAnswerYet, let trouble, let relayed, let relayRefused, let relayDown,
                let relaySaid, let reasons, let headersFollow, let messageFollows
            else { return nil }
            return NoticeTexts(
                language: language, from: from, failure: failure, delay: delay, success: success,
                undeliverable: undeliverable, said: said, expired: expired, noAnswer: noAnswer,
                noAnswerYet: noAnswerYet, trouble: trouble, relayed: relayed, relayRefused: relayRefused,
                relayDown: relayDown, relaySaid: relaySaid, reasons: reasons, advice: advice ?? [:],
                headersFollow: headersFollow, messageFollows: messageFollows, held: held)
        }
        return read ?? nil
    }

    /// RFC 5646 section 2.1, as far as it goes into a header field.
    private static func isTag(_ text: String) -> Bool {
        (2...35).contains(text.utf8.count)
            && text.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0 & 0xDF) || $0 == 45 }
    }

    private static func passage(_ field: Field) -> NoticeTexts.Passage? {
        let read = field.section { section -> NoticeTexts.Passage? in
            let subject = section.required("subject").flatMap(text)
            let opening = section.required("opening").flatMap(text)
            guard let subject, let opening else { return nil }
            return NoticeTexts.Passage(subject: subject, opening: opening)
        }
        return read ?? nil
    }

    /// One text for each, so that no notice falls back on another language.
    private static func reasons(_ section: Section) -> [NoticeReason: String] {
        var reasons: [NoticeReason: String] = [:]
        for reason in NoticeReason.allCases {
            reasons[reason] = section.required(reason.rawValue).flatMap(text)
        }
        return reasons
    }

    private static func advice(_ section: Section) -> [Cause: String] {
        var advice: [Cause: String] = [:]
        for entry in section.entries() {
            guard let cause = Cause(rawValue: entry.name) else {
                let known = Cause.allCases.map(\.rawValue)
                entry.key.complain(
                    "is no cause\(Nearest.hint(entry.name, among: known)); these are: \(known.joined(separator: ", "))")
                continue
            }
            advice[cause] = text(entry.value)
        }
        return advice
    }

    /// A text whose words in braces are all known.
    private static func text(_ field: Field) -> String? {
        guard var text = field.string("a text") else { return nil }
        while text.hasSuffix("\n") { text.removeLast() }
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else {
                field.complain("has a { without a }")
                return nil
            }
            let word = String(rest[rest.index(after: open)..<close])
            guard NoticeTexts.words.contains(word) else {
                let known = NoticeTexts.words.map { "{\($0)}" }.joined(separator: ", ")
                field.complain("{\(word)} is none of \(known)")
                return nil
            }
            rest = rest[rest.index(after: close)...]
        }
        return text
    }
}
