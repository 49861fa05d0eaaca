import Testing

@testable import Storage

/// When the log is long enough to be copied.
@Suite struct `Log size` {
    let size = LogSize()

    @Test func `after a checkpoint that emptied the log the whole limit is to be reached again`() {
        size.committed(frames: 1_000)
        #expect(size.isLarge(1_000))
        size.checkpointed()
        #expect(!size.isLarge(1_000))
        // Begun anew.
        size.committed(frames: 3)
        #expect(!size.isLarge(1_000))
        size.committed(frames: 999)
        #expect(!size.isLarge(1_000))
        // Reckoned from the frames of the checkpoint before, nothing would have been written since.
        size.committed(frames: 1_001)
        #expect(size.isLarge(1_000))
    }

    @Test func `a log that a reader kept from being emptied is long when it has grown by the limit`() {
        size.committed(frames: 1_000)
        size.checkpointed()
        size.committed(frames: 1_999)
        #expect(!size.isLarge(1_000))
        size.committed(frames: 2_000)
        #expect(size.isLarge(1_000))
    }
}
