import Mail
import Queue

/// Works of one message that go to one site together: what one transaction carries.
final class Parcel {
    var pieces: [Piece]
    /// How often it went back to the front because a reused session had gone stale under it.
    var redone = 0
    /// Addresses of hosts that would not, or could not, take it in this round; another may.
    var passed: Set<IPAddress> = []
    /// No other host takes 8-bit content by that name: it goes as it is.
    var eightBitAsIs = false
    /// A session is being opened for just this parcel.
    var sought = false
    /// From the store, not from a customer just now.
    var readBack = false
    let message: QueuedMessage

    init(message: QueuedMessage, pieces: [Piece]) {
        self.message = message
        self.pieces = pieces
    }

    convenience init(_ work: Work, readBack: Bool = false) {
        self.init(message: work.message, pieces: [Piece(work)])
        self.readBack = readBack
    }

    /// One work, with what of it is to be tried now.
    struct Piece {
        var work: Work
        /// Recipients to try next.
        var next: [Address]
        /// How many of `next`, from its start, are on the wire now.
        var wired = 0
        /// Refused for now: they wait for the rest of the work, then for the schedule.
        var aside: [Address] = []
        /// When to come back for those, and from where.
        var wait: Wait?
        /// The work says something that the queue has not been told.
        var noted = false
        /// The receiver refuses addresses that it does not know: one that it took mail from comes first.
        var prefersKnown = false
        /// An operator wants it back: nothing more is tried of it.
        var isRecalled = false

        init(_ work: Work) {
            self.work = work
            self.next = work.recipients
        }
    }

    struct Wait {
        /// At least this long; nil leaves it to the schedule.
        var atLeast: Timestamp.Span?
        /// Name of the source to keep.
        var pinned: String?
        /// Nothing but the receiver's pace keeps it: it comes when that allows, and no round of the schedule is used.
        var isPaced = false
    }

    /// Any session of the site will do that was opened for others.
    func isPlain(at site: Site) -> Bool { site.isRelay ? passed.isEmpty : isPlain }

    /// The work goes the same way.
    func isLike(_ work: Work) -> Bool {
        pieces.first.map {
            $0.work.progress.route == work.progress.route && $0.work.progress.step == work.progress.step
                && $0.work.progress.pinned == work.progress.pinned
        }
            ?? true
    }

    /// Any session of the first step will do.
    private var isPlain: Bool {
        guard passed.isEmpty else { return false }
        return pieces.allSatisfy { piece in
            let progress = piece.work.progress
            return progress.tried.isEmpty && progress.pinned == nil && progress.step == 0
                && progress.route == "default"
        }
    }

    var prefersKnown: Bool { pieces.contains(where: \.prefersKnown) }
    /// Some of it may have arrived already.
    var isDoubted: Bool { pieces.contains(where: \.work.progress.doubted) }
    var tried: [String] { pieces.flatMap(\.work.progress.tried) }
    var pinned: String? { pieces.lazy.compactMap(\.work.progress.pinned).first }
    var route: String { pieces.first?.work.progress.route ?? "default" }
    var step: Int { pieces.map(\.work.progress.step).max() ?? 0 }
}
