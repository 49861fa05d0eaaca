import Intake
import Mail
import NIOCore
import Queue

/// What the `notices:` section and the customers say about telling senders.
struct NoticeSection: Sendable {
    var language = "en"
    /// Folder of texts; nil for the built-in ones alone.
    var texts: String?
    /// Octets.
    var fullMessage = 50 << 10
    /// nil: never.
    var delayAfter: Timestamp.Span? = .hours(4)
    var gather = Timestamp.Span.seconds(10)
    /// By customer.
    var languages: [String: String] = [:]
}

extension NodeConfigurationFile {
    /// The `notices:` section.
    func notices(_ section: Section) -> NoticeSection {
        var read = NoticeSection()
        section.set(&read.language, "language") { $0.string("a language such as en or de")?.lowercased() }
        read.texts = section.optional("texts").flatMap(path)
        section.set(&read.fullMessage, "full_message") { $0.size(1...64 << 20) }
        if let field = section.optional("delay_after") {
            if case "never"? = field.string("a span such as 4h, or never") {
                read.delayAfter = nil
            } else if let span = field.span(.seconds(5)...(.days(30))) {
                read.delayAfter = span
            }
        }
        section.set(&read.gather, "gather") { $0.span(.seconds(0)...(.hours(1))) }
        return read
    }
}

extension LoadedConfiguration {
    /// - Parameters:
    ///   - loop: where content files are read and written.
    ///   - kept: languages of customers that the file does not name.
    func noticeSettings(
        _ ids: MessageID.Generator, _ loop: any EventLoop, kept: [String: String] = [:]
    ) -> NoticeSettings? {
        let section = node.notices
        guard let texts = texts[section.language] else { return nil }
        var settings = NoticeSettings(hostname: node.hostname, ids: ids, texts: texts, loop: loop)
        settings.customerTexts = section.languages.merging(kept) { declared, _ in declared }
            .compactMapValues { self.texts[$0] }
        settings.postmaster = node.intake.postmaster
        settings.signer = node.intake.signer.map(NoticeSeal.init)
        settings.fullMessage = section.fullMessage
        settings.delayAfter = section.delayAfter
        settings.gather = section.gather
        settings.lifetime = node.intake.maxAge
        return settings
    }

    /// Complains about languages that nothing is known of.
    static func check(_ node: NodeConfiguration, _ texts: [String: NoticeTexts], _ problems: Problems) {
        var named = [("notices.language", node.notices.language)]
        named += node.notices.languages.map { ("customers.\($0.key).language", $0.value) }
        for (path, language) in named.sorted(by: { $0.0 < $1.0 }) where texts[language] == nil {
            let known = texts.keys.sorted()
            problems.add(
                node.problem(
                    path,
                    "no texts for “\(language)”\(Nearest.hint(language, among: known)); there are "
                        + known.joined(separator: ", ")))
        }
    }
}
