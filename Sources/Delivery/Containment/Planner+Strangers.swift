import DequeModule
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

    /// Sources of the pool that the receiver has taken mail from since it last turned them away, and not tried yet.
    func known(in pool: SourceTable.Pool, at site: Site, tried: [String]) -> [Int] {
        let takers = site.receiver.takers
        guard !takers.isEmpty else { return [] }
        let tried = Set(tried.compactMap(table.number(of:)))
        return pool.members.filter { takers.contains($0) && !tried.contains($0) }
    }

    // MARK: Whom a receiver knows

    /// It took a message from the source.
    mutating func noteTaker(_ session: OpenSession) {
        let receiver = session.receiver
        guard !receiver.takers.contains(session.source) || receiver.takersExpire < now + Self.takersRenew else {
            return
        }
        receiver.takers.insert(session.source)
        lineUpTakers(of: receiver)
    }

    /// It turned the source away.
    ///
    /// - Returns: whether it took mail from it before.
    mutating func forgetTaker(_ session: OpenSession) -> Bool {
        let receiver = session.receiver
        guard receiver.takers.contains(session.source) else { return false }
        receiver.takers.remove(session.source)
        lineUpTakers(of: receiver)
        return true
    }

    private mutating func lineUpTakers(of receiver: Receiver) {
        receiver.takersExpire = now + Self.takersLast
        guard !receiver.keepsTakers else { return }
        receiver.keepsTakers = true
        takersToKeep.append(receiver)
    }

    /// Some at a time: a receiver that comes to know a whole range gets a row now and again, not one for each address.
    mutating func keepTakers() {
        var room = Self.takersATick
        while room > 0, let receiver = takersToKeep.popFirst() {
            receiver.keepsTakers = false
            noteChange(.takers, receiver)
            room -= 1 + receiver.takers.count
        }
    }

    /// The addresses as they are kept; nil for none.
    func takersValue(of receiver: Receiver?) -> String? {
        let numbers = (receiver?.takers.numbers ?? []).filter { number in
            table.isCurrent(number) && !table.sources[number].isSystemsChoice
        }
        let addresses = numbers.prefix(Self.takersKept).map { table.sources[$0].address.description }
        return addresses.isEmpty ? nil : PathFields.line(addresses)
    }

    func takers(from value: String) -> SourceSet {
        var takers = SourceSet()
        for field in PathFields.lines(value).first ?? [] {
            if let number = IPAddress(field).flatMap(table.number(of:)) { takers.insert(number) }
        }
        return takers
    }

    /// As long as they are kept, so that a file that is full loses them before what receivers refused, and how old they
    /// may get before they are written anew.
    static let takersLast = Timestamp.Span.days(3)
    private static let takersRenew = Timestamp.Span.days(2)
    private static let takersATick = 500
    private static let takersKept = 1_024
    /// Receivers that are remembered for nothing else, after a restart.
    static let receiversKnown = 20_000
}
