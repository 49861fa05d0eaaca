import Mail
import Queue

/// What may have arrived already, since the connection broke after its final dot. Each further source, and a relay even
/// more so, would make a duplicate of the doubt: it keeps its source for the rest of its life.
extension Planner {
    /// Of one recipient it is of all: they wait together, and those it was not sent to yet go from the same source,
    /// so that there is one to keep.
    func noteDoubt(_ groups: AnswerGroups, _ piece: inout Parcel.Piece, on session: OpenSession) {
        guard !session.site.isRelay else { return }
        let isDoubt = groups.all.contains { group in
            guard group.answer.phase == .dot, case .trouble = group.answer.answer else { return false }
            return rules.read(group.answer, site: session.site.name).cause == .uncertain
        }
        guard isDoubt else { return }
        piece.work.progress.doubted = true
        piece.work.progress.pinned = session.plan.source.name
    }

    /// - Returns: whether it is in doubt, by these answers or by ones before.
    func keepInDoubt(_ judgement: inout Judgement, _ piece: Parcel.Piece, on session: OpenSession) -> Bool {
        guard !session.site.isRelay, piece.work.progress.doubted else { return false }
        switch judgement.verdict {
        case .otherSource:
            judgement.verdict = .later(atLeast: judgement.reading?.hold, samePath: true)
            judgement.why += "; it may have arrived already, so it waits for the same source"
        case .later(let atLeast, false): judgement.verdict = .later(atLeast: atLeast, samePath: true)
        default: break
        }
        return true
    }

    /// It waits for its source where that rests; one that is gone, out of use or cannot be bound keeps nobody.
    func keptInDoubt(_ work: Work, at site: Site) -> Parcel.Wait? {
        guard work.progress.doubted, let name = work.progress.pinned, let number = table.number(of: name),
            held[number] == nil, (unbound[number]?.until ?? now) <= now
        else { return nil }
        guard case .rests(let until) = site.receiver.standing(of: table.sources[number], at: now) else {
            return Parcel.Wait(atLeast: nil, pinned: name)
        }
        return Parcel.Wait(atLeast: until - now, pinned: name)
    }

    /// Why nobody waits for the source that a parcel keeps; nil where it is worth waiting for.
    func whyReleased(_ name: String, of parcel: Parcel, at site: Site) -> String? {
        guard parcel.isDoubted else { return whyReleased(name, at: site.receiver) }
        return whyOutOfUse(name)
    }
}
