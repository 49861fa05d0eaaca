import Mail
import Queue

/// Refusals that do not say plainly whom they are about.
extension Planner {
    /// Where sources disagree what a reply means one other source is tried, once in a message's life; what it hears
    /// decides. For content and sender not even that: rotation is what such mail must never get.
    func tryAnotherOnce(_ judgement: inout Judgement, _ piece: inout Parcel.Piece, on session: OpenSession) {
        guard let reading = judgement.reading, reading.isDisputed, reading.cause != .content, reading.cause != .auth
        else { return }
        switch judgement.verdict {
        case .failed, .later: break
        default: return
        }
        let name = session.plan.source.name
        let progress = piece.work.progress
        guard !progress.doubted else { return }
        let pool = table.pool(of: progress.route, step: progress.step)
        guard progress.tried.allSatisfy({ $0 == name }), (pool?.members.count ?? 0) > 1 else { return }
        piece.work.progress.tried = [name]
        piece.work.progress.pinned = nil
        judgement.verdict = .otherSource
        judgement.why = "sources disagree whether this is about our address: one other source is tried, once"
    }

    /// Sources of the pool that the site has taken mail from since it was last turned away, and not tried yet.
    func known(in pool: SourceTable.Pool, at site: Site, tried: [String]) -> [Int] {
        guard !site.takers.isEmpty else { return [] }
        let tried = Set(tried.compactMap(table.number(of:)))
        return pool.members.filter { site.takers.contains($0) && !tried.contains($0) }
    }
}
