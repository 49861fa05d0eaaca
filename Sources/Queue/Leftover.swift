package import Mail

/// What is left of a work after a settlement.
///
/// The recipients on record decide, not the settlement: one that it neither ends nor carries on is kept and tried
/// again, and one that had ended before does not end a second time.
package struct Leftover: Sendable {
    package var recipients: [Address]
    package var progress: Progress
    /// Some of them were named neither as ended nor as remaining.
    package var incomplete: Bool

    /// How long a recipient rests that a settlement forgot: long enough that a fault in the planner makes no storm.
    private static let rest = Timestamp.Span.minutes(5)

    /// nil when every recipient on record has ended.
    package init?(of recipients: [Address], progress: Progress, after settlement: Settlement, now: Timestamp) {
        let ended = settlement.ended
        if ended.count == recipients.count, zip(ended, recipients).allSatisfy({ $0.recipient == $1 }) { return nil }
        var left = recipients
        if ended.count > 16 {
            let names = Set(ended.map(\.recipient))
            left.removeAll { names.contains($0) }
        } else if !ended.isEmpty {
            left.removeAll { address in ended.contains { $0.recipient == address } }
        }
        guard !left.isEmpty else { return nil }
        self.recipients = left
        if let remaining = settlement.remaining {
            self.progress = remaining.progress
            self.incomplete = remaining.recipients.count < left.count
        } else {
            self.progress = progress
            self.progress.due = now + Self.rest
            self.incomplete = true
        }
    }
}

extension Settlement {
    /// What the sender is to be told of recipients that are on record.
    package func untold(among recipients: [Address]) -> [UntoldRecipient] {
        guard ended.contains(where: { !$0.isSilent }) else { return [] }
        let recipients = Set(recipients)
        return ended.filter { recipients.contains($0.recipient) }.compactMap { ended in
            ended.report.map { UntoldRecipient(message: key.message, report: $0) }
        }
    }
}

extension Progress {
    /// What a sender is told of a recipient that still waits.
    package func delay(of recipient: Address, at now: Timestamp) -> RecipientReport {
        RecipientReport(
            recipient: recipient, kind: .delayed, reason: lastRefusal ?? "no attempt was answered",
            refusal: firstRefusal, at: now)
    }
}

extension Progress {
    /// For the notice, where a relay was the last step.
    package var way: RecipientReport.Way? {
        relay.map {
            RecipientReport.Way(
                sources: tried.count, attempts: max(0, attempts - $0.attempts), relay: $0.name, handed: $0.attempts,
                said: $0.said, reply: $0.reply)
        }
    }
}

extension Expiration {
    /// The ends of the recipients on record, with the words that the last receiver had for them.
    package func ends(of recipients: [Address], progress: Progress) -> [Settlement.Ended] {
        if let relay = progress.relay, relay.until <= at { return ends(of: recipients, at: relay, progress) }
        let last = progress.lastRefusal.map { "; last refusal: \($0)" } ?? "; no attempt was answered"
        let reason = "not delivered before its deadline, \(progress.rounds) rounds\(last)"
        return recipients.map {
            Settlement.Ended(
                recipient: $0, how: .expired, reason: reason, at: at, quoted: progress.firstRefusal, way: progress.way)
        }
    }

    /// The deadline at the relay came before the message's own.
    private func ends(
        of recipients: [Address], at relay: Progress.AtRelay, _ progress: Progress
    ) -> [Settlement.Ended] {
        let hours = (relay.until - relay.entered).milliseconds / 3_600_000
        let span = hours > 0 ? "\(hours) h" : "\((relay.until - relay.entered).milliseconds / 1_000) s"
        let said = relay.said.map { "; last: \($0)" } ?? "; it was never asked"
        let reason = "the relay \(relay.name) did not take it within \(span), \(relay.attempts) attempts\(said)"
        return recipients.map {
            Settlement.Ended(
                recipient: $0, how: .expired, reason: reason, at: at, quoted: progress.firstRefusal, way: progress.way)
        }
    }
}
