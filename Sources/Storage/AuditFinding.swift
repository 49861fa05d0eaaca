package import Mail

/// Something that does not add up.
package struct AuditFinding: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable, Hashable {
        /// Accepted, without an end, and not in the store.
        case lost
        case endedTwice = "ended twice"
        /// In the history it has ended, in the store it waits.
        case endedAndWaiting = "ended and waiting"
        /// Its message is in the store, but it neither waits there nor has it ended.
        case unaccounted
        /// In the store, and the history knows of no acceptance.
        case notAccepted = "never accepted"
        /// In the store with nothing that would ever bring it on.
        case stranded
        /// Rows of a message that is not in the store.
        case leftBehind = "left behind"
        case contentMissing = "content missing"
        case contentOrphaned = "content orphaned"
        case unreadable
    }

    package var kind: Kind
    package var message: MessageID
    /// Those that it is about; empty for the whole message.
    package var recipients: [Address]
    /// Why nothing can be said: the history has a gap there. nil for what is wrong for certain.
    package var excuse: String?
}

/// How much an audit looked at, and what it found.
package struct AuditSummary: Sendable {
    package let isRunning: Bool
    /// Since when the history is kept; nil without one.
    package let since: Timestamp?
    package let gaps: [HistoryGap]
    package private(set) var messagesInHistory = 0
    package private(set) var messagesInStore = 0
    package private(set) var accepted = 0
    package private(set) var waiting = 0
    package private(set) var ends: [RecipientEnd: Int] = [:]
    package private(set) var findings: [AuditFinding.Kind: Int] = [:]
    package private(set) var unproven: [AuditFinding.Kind: Int] = [:]

    init(isRunning: Bool, since: Timestamp?, gaps: [HistoryGap]) {
        self.isRunning = isRunning
        self.since = since
        self.gaps = gaps
    }

    package var isGood: Bool { findings.isEmpty }

    mutating func count(_ rows: AuditedRows, _ story: AuditedStory) {
        if rows.hasMessage {
            messagesInStore += 1
            waiting += rows.hasWaiting ? rows.waiting.count : rows.hasUntold ? 0 : rows.recipients?.count ?? 0
        }
        if let recipients = story.accepted {
            messagesInHistory += 1
            accepted += recipients.values.reduce(0, +)
        }
        ends.merge(story.hows, uniquingKeysWith: +)
    }

    mutating func count(_ finding: AuditFinding) {
        if finding.excuse == nil {
            findings[finding.kind, default: 0] += 1
        } else {
            unproven[finding.kind, default: 0] += 1
        }
    }
}

// The judgement over one message.
extension SpoolAudit {
    func judge(_ id: MessageID, rows: AuditedRows, story: AuditedStory) throws -> [AuditFinding] {
        var findings: [AuditFinding] = []
        func find(_ kind: AuditFinding.Kind, _ recipients: [Address] = [], excuse: String? = nil) {
            let sorted = recipients.sorted { ($0.domain, $0.localPart) < ($1.domain, $1.localPart) }
            findings.append(AuditFinding(kind: kind, message: id, recipients: sorted, excuse: excuse))
        }
        if rows.unreadable != nil || story.unreadable != nil {
            find(.unreadable)
            return findings
        }
        let twice = story.ends.filter { $0.value > max(1, story.accepted?[$0.key] ?? 1) }.map(\.key)
        if !twice.isEmpty { find(.endedTwice, twice) }
        guard rows.hasMessage else {
            if rows.hasWaiting || rows.hasUntold { find(.leftBehind) }
            let lost = story.accepted?.keys.filter { story.ends[$0] == nil } ?? []
            if !lost.isEmpty { find(.lost, lost, excuse: gap(after: story.last)) }
            return findings
        }
        let recipients = rows.recipients ?? []
        let isFresh = !rows.hasWaiting && !rows.hasUntold
        if story.accepted == nil, history != nil {
            find(.notAccepted, excuse: beforeHistory(rows.arrived) ?? gap(around: rows.arrived))
        }
        let waiting = recipients.filter { (isFresh || rows.waiting.contains($0)) && story.ends[$0] != nil }
        if !waiting.isEmpty { find(.endedAndWaiting, waiting, excuse: gap(after: story.last)) }
        if !isFresh, history != nil {
            let missing = recipients.filter {
                !rows.waiting.contains($0) && !rows.told.contains($0) && story.ends[$0] == nil
            }
            let before = story.accepted == nil ? beforeHistory(rows.arrived) : nil
            let excuse = before ?? gap(after: max(story.last, rows.arrived))
            if !missing.isEmpty { find(.unaccounted, missing, excuse: excuse) }
        }
        if isFresh, isStranded(id) { find(.stranded) }
        if let file = rows.file {
            if try isMissing(file, of: id) { find(.contentMissing) }
        } else if !rows.hasContent {
            find(.contentMissing)
        }
        return findings
    }

    /// Whatever a message did last may have been followed by an end in a gap that ended later.
    private func gap(after last: Timestamp) -> String? {
        gaps.last { $0.ended >= last }.map(Self.text)
    }

    /// Its acceptance may have been lost. Events gather a while before they are written.
    private func gap(around arrived: Timestamp) -> String? {
        gaps.first { $0.began <= arrived + .seconds(10) && arrived <= $0.ended + .seconds(10) }.map(Self.text)
    }

    private func beforeHistory(_ arrived: Timestamp) -> String? {
        guard let since, arrived < since else { return nil }
        return "it came before this history was begun"
    }

    private static func text(_ gap: HistoryGap) -> String {
        gap.dropped > 0 ? "\(gap.why) (\(gap.dropped) events lost)" : gap.why
    }
}
