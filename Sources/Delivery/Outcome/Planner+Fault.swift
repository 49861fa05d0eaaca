import Mail
import Queue

/// What the receiver found fault with for its content or its sender, and did not refuse for good: it waits for the
/// schedule. Nothing that is learned about our addresses meanwhile takes that word back.
extension Planner {
    /// Of one recipient it is of all: it is the same message. Taken back is it by a transaction in which all that are
    /// left of them were answered otherwise, each as far in the dialogue as the fault was found, or farther: who
    /// refuses our address at RCPT has not read the content again.
    func noteFault(_ groups: AnswerGroups, _ piece: inout Parcel.Piece, on session: OpenSession) {
        guard !session.site.isRelay else { return }
        let faulty = groups.all.filter { group in
            [.content, .auth].contains(rules.read(group.answer, site: session.site.name).cause)
        }
        let before = piece.work.progress.faultedAt
        if let found = faulty.map(\.answer.phase.rawValue).max().flatMap(Phase.init(rawValue:)) {
            piece.work.progress.faultedAt = before.map { $0.rawValue > found.rawValue ? $0 : found } ?? found
        } else if let before {
            let isTakenBack = groups.all.allSatisfy { group in
                guard case .reply = group.answer.answer else { return false }
                return group.answer.phase.rawValue >= before.rawValue
            }
            let areAll = piece.aside.isEmpty && piece.wired == piece.next.count
            if isTakenBack, areAll { piece.work.progress.faultedAt = nil }
        }
    }

    /// Its steps were spent while it was found fault with, which the receiver has taken back since.
    ///
    /// - Returns: whether it goes through the relay from now on.
    mutating func enterRelayAtLast(_ piece: inout Parcel.Piece, _ judgement: inout Judgement) -> Bool {
        let steps = table.steps(of: piece.work.progress.route)
        let isPast = piece.work.progress.step >= steps.count
        guard isPast, case .relay(let name, _)? = steps.last, objection(of: name, to: piece.work) == nil else {
            return false
        }
        piece.work.progress.step = steps.count - 1
        piece.work = atRelay(piece.work, cause: judgement.reading?.cause ?? .source)
        judgement.verdict = .relay
        judgement.why += "; the steps before the relay are spent"
        return true
    }
}
