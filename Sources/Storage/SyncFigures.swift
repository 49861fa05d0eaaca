import Synchronization

/// How often the disk was asked to make things durable since the start, apart from commits, which the queue counts.
package final class SyncFigures: Sendable {
    /// What was to be durable.
    package enum Kind: Int, CaseIterable, Sendable {
        /// The octets of a content file.
        case content
        /// Names in the content folder; one serves all messages that wait for it.
        case folder
        /// The database file, when the log is copied into it.
        case checkpoint
    }

    private let content = Atomic<Int>(0)
    private let folder = Atomic<Int>(0)
    private let checkpoint = Atomic<Int>(0)

    package init() {}

    package func count(_ kind: Kind) -> Int {
        switch kind {
        case .content: content.load(ordering: .relaxed)
        case .folder: folder.load(ordering: .relaxed)
        case .checkpoint: checkpoint.load(ordering: .relaxed)
        }
    }

    func add(_ kind: Kind) {
        switch kind {
        case .content: content.add(1, ordering: .relaxed)
        case .folder: folder.add(1, ordering: .relaxed)
        case .checkpoint: checkpoint.add(1, ordering: .relaxed)
        }
    }
}
