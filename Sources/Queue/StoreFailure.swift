/// Why a store could not do what it was asked; the queue decides by ``kind`` what its clients are told.
package struct StoreFailure: Error, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// The disk is full or over quota; it may clear up by itself.
        case diskFull
        /// Anything else: an I/O error, a failed fsync, a file that is not what it should be.
        case failed
    }

    package let kind: Kind
    package let text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    package var description: String { text }
}
