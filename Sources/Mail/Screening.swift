/// What the filter said of a message that was accepted, as it is kept with it and shown.
///
/// A class, since every trace event has room for it and most messages share none.
package final class Screening: Sendable, Hashable {
    /// What routes ask for.
    package enum Verdict: String, Sendable, Hashable, CaseIterable {
        case clean
        /// The filter would have it marked (`add header`, `rewrite subject`).
        case suspect
        /// The operator lets pass what could not be checked, or is too large to be.
        case unscanned
    }

    package let verdict: Verdict
    /// rspamd's word; why, where it was not scanned.
    package let action: String
    /// nil where there is no score.
    package let score: Double?
    /// `NAME(1.50)`, the weightiest first; bounded.
    package let symbols: [String]
    /// What was changed about the message, or was not although the filter asked for it, and why.
    package let changes: [String]

    package init(verdict: Verdict, action: String, score: Double?, symbols: [String], changes: [String] = []) {
        self.verdict = verdict
        self.action = action
        self.score = score
        self.symbols = symbols
        self.changes = changes
    }

    package func with(changes: [String]) -> Screening {
        Screening(verdict: verdict, action: action, score: score, symbols: symbols, changes: changes)
    }

    /// A score with two places behind the point.
    package static func text(_ score: Double) -> String {
        let hundredths = (max(-1e12, min(score.isFinite ? score : 0, 1e12)) * 100).rounded()
        let whole = Int64(abs(hundredths))
        let places = whole % 100
        return "\(hundredths < 0 ? "-" : "")\(whole / 100).\(places < 10 ? "0" : "")\(places)"
    }

    /// For a person.
    package var lines: [String] {
        let said = "\(verdict.rawValue), \(action)" + (score.map { ", score \(Self.text($0))" } ?? "")
        return [symbols.isEmpty ? said : "\(said): \(symbols.joined(separator: " "))"] + changes
    }

    package static func == (left: Screening, right: Screening) -> Bool {
        left === right
            || left.verdict == right.verdict && left.action == right.action && left.score == right.score
                && left.symbols == right.symbols && left.changes == right.changes
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(verdict)
        hasher.combine(action)
        hasher.combine(score)
    }
}
