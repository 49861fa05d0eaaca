import ArgumentParser
import Glibc
import Mail
import Queue
import Storage

/// `figaro audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Prove from history and store that every accepted recipient has one end.",
        discussion: """
            Every recipient that was accepted must have ended exactly once, or still be in the store; every message in \
            the store must have its content and something that brings it on. That is looked at in the spool's files, \
            without asking the relay, beside a running one as well as beside none. What does not add up while mail \
            flows is looked at again some seconds later before it is named.

            What may have happened in a time of which the history knows not everything (a kill, a power cut, an \
            overload) is named as unproven and does not count. The log knows more of it than the history: with --log \
            ends that it tells of are believed.

            Examples:
              figaro audit --config /etc/figaro/relay.yaml
              figaro audit --spool /var/lib/figaro --json | jq -r 'select(.finding == "lost") | .message'
              figaro audit --spool /backup/2026-11-22
              journalctl -u figaro -o cat --since -14d | figaro audit --log -

            Exit codes: 0 all of it adds up, 1 something does not, 66 the spool cannot be read, 78 the configuration \
            is wrong.
            """)

    @OptionGroup var spool: SpoolOption
    @Option(help: "Name at most so many messages of each kind of finding.") var limit = 100
    @Option(help: ArgumentHelp("How long to wait before looking again, while a relay runs.", valueName: "span"))
    var settle = "5s"
    @Option(
        help: ArgumentHelp(
            "The relay's log, in either form, for what the history lost; - reads it from standard "
                + "input.", valueName: "file"))
    var log: String?
    @Flag(help: "Print one JSON object per line: each finding, and a summary as the last.") var json = false

    func validate() throws {
        guard (1...1_000_000).contains(limit) else { throw ValidationError("--limit is from 1 to 1000000") }
        guard let span = Units.span(settle), (Timestamp.Span(milliseconds: 0)...(.minutes(10))).contains(span) else {
            throw ValidationError("--settle is a span from 0s to 10m")
        }
    }

    func run() throws {
        let path = try spool.path()
        let summary: AuditSummary
        var names = Names(limit: limit, json: json)
        // What the log may explain; bounded by what an audit suspects at most.
        var unproven: [AuditFinding] = []
        do {
            let audit = try SpoolAudit(spool: path)
            defer { audit.close() }
            summary = try audit.run(settle: Units.span(settle) ?? .seconds(5)) { finding in
                if log != nil, finding.excuse != nil { unproven.append(finding) } else { names.tell(finding) }
            }
        } catch let error as StoreFailure {
            Terminal.complain(Visible.text("cannot audit: \(error)"))
            throw ExitCode.noInput
        }
        var explained: [AuditFinding.Kind: Int] = [:]
        let witness = try witness(for: unproven)
        for finding in unproven {
            if witness.explains(finding) { explained[finding.kind, default: 0] += 1 } else { names.tell(finding) }
        }
        let report = AuditReport(summary, explained, spool: path)
        if json {
            Terminal.say(json: report)
        } else {
            names.tellOfMore()
            report.lines.forEach(Terminal.say)
        }
        if !summary.isGood { throw ExitCode.failure }
    }

    /// What the log says of these messages.
    private func witness(for unproven: [AuditFinding]) throws -> LogWitness {
        var witness = LogWitness()
        guard let log, !unproven.isEmpty else { return witness }
        guard let file = fopen(log == "-" ? "/dev/stdin" : log, "r") else {
            Terminal.complain(Visible.text("cannot read the log \(log): \(String(cString: strerror(errno)))"))
            throw ExitCode.noInput
        }
        defer { fclose(file) }
        let wanted = Set(unproven.map(\.message))
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while case let count = getline(&line, &room, file), count > 0, let line {
            let bytes = UnsafeRawBufferPointer(start: line, count: count)
            witness.read(
                String(decoding: bytes.last == 10 ? bytes.dropLast() : bytes[...], as: UTF8.self), wanted: wanted)
        }
        return witness
    }

    /// Names findings, so many of each kind.
    private struct Names {
        let limit: Int
        let json: Bool
        private var counts: [AuditFinding.Kind: Int] = [:]

        init(limit: Int, json: Bool) {
            self.limit = limit
            self.json = json
        }

        mutating func tell(_ finding: AuditFinding) {
            counts[finding.kind, default: 0] += 1
            guard counts[finding.kind, default: 0] <= limit else { return }
            if json {
                Terminal.say(json: FindingReport(finding))
            } else {
                Terminal.say(FindingReport(finding).line)
            }
        }

        func tellOfMore() {
            for (kind, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > limit {
                Terminal.say("and \(count - limit) more of “\(kind.rawValue)”; --limit names them")
            }
        }
    }
}

/// One finding for people and machines.
struct FindingReport: Encodable {
    var finding: String
    var message: String
    var recipients: [String]
    var meaning: String
    /// Why it is not certain.
    var unproven: String?

    init(_ finding: AuditFinding) {
        self.finding = finding.kind.rawValue
        message = finding.message.description
        recipients = finding.recipients.map(\.description)
        meaning = finding.kind.meaning
        unproven = finding.excuse
    }

    var line: String {
        let shown = recipients.prefix(5).map { " <\($0)>" }.joined() + (recipients.count > 5 ? " …" : "")
        let excuse = unproven.map { "; unproven: \($0)" } ?? ""
        return Visible.text("\(finding.padding(to: 18))\(message)\(shown)  \(meaning)\(excuse)")
    }
}

extension AuditFinding.Kind {
    fileprivate var meaning: String {
        switch self {
        case .lost: "accepted, has no end, and is not in the store"
        case .endedTwice: "has more than one end: delivered again after a kill, or decided twice"
        case .endedAndWaiting: "has an end in the history and still waits in the store"
        case .unaccounted: "neither waits nor has ended, while its message is in the store"
        case .notAccepted: "is in the store, and the history has no acceptance of it"
        case .stranded: "is in the store with nothing that would bring it on"
        case .leftBehind: "has rows in the store, and its message is not there"
        case .contentMissing: "is in the store, and its content is not there"
        case .contentOrphaned: "is a content file that no message names"
        case .unreadable: "has a row that cannot be read"
        }
    }
}

/// The summary for people and machines.
struct AuditReport: Encodable {
    var summary = true
    var ok: Bool
    var spool: String
    var relayRuns: Bool
    var historySince: String?
    var messagesInHistory: Int
    var recipientsAccepted: Int
    var ended: [String: Int]
    var messagesInStore: Int
    var recipientsWaiting: Int
    var findings: [String: Int]
    var unproven: [String: Int]
    /// Unproven by the history, and told by the log.
    var provenByLog: Int
    var gaps: [String]

    init(_ summary: AuditSummary, _ explained: [AuditFinding.Kind: Int], spool: String) {
        ok = summary.isGood
        self.spool = spool
        relayRuns = summary.isRunning
        historySince = summary.since.map { UTCTime.text($0) }
        messagesInHistory = summary.messagesInHistory
        recipientsAccepted = summary.accepted
        ended = Dictionary(summary.ends.map { ($0.key.name, $0.value) }, uniquingKeysWith: +)
        messagesInStore = summary.messagesInStore
        recipientsWaiting = summary.waiting
        findings = Dictionary(summary.findings.map { ($0.key.rawValue, $0.value) }, uniquingKeysWith: +)
        let left = summary.unproven.map { ($0.key.rawValue, $0.value - explained[$0.key, default: 0]) }
        unproven = Dictionary(left.filter { $0.1 > 0 }, uniquingKeysWith: +)
        provenByLog = explained.values.reduce(0, +)
        gaps = summary.gaps.map { "\(UTCTime.text($0.began)) to \(UTCTime.text($0.ended)): \($0.why)" }
    }

    var lines: [String] {
        let ends = ended.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        var lines = [
            "spool       \(spool), \(relayRuns ? "a relay works on it" : "no relay works on it")",
            "history     \(messagesInHistory) messages to \(recipientsAccepted) recipients"
                + (historySince.map { ", since \($0)" } ?? ": there is none"),
            "ended       \(ends.isEmpty ? "none" : ends)",
            "store       \(messagesInStore) messages, \(recipientsWaiting) recipients wait",
        ]
        lines += gaps.suffix(5).map { "gap         \($0)" }
        if provenByLog > 0 { lines.append("by the log  \(provenByLog) ended that the history had lost") }
        if !unproven.isEmpty { lines.append("unproven    \(Self.text(unproven))") }
        lines.append(findings.isEmpty ? "all of it adds up" : "findings    \(Self.text(findings))")
        return lines.map { Visible.text($0) }
    }

    private static func text(_ counts: [String: Int]) -> String {
        counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
