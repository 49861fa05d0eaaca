import Glibc
import NIOCore
import Queue
import Synchronization

/// One open content file; its blocking calls are made on a file thread.
final class ContentFile: Sendable {
    private let path: String
    private let syncs: SyncFigures
    private let state = Mutex(State())
    private let waiting = Atomic<Int>(0)

    private struct State {
        var descriptor: Int32 = -1
        /// Something went wrong, or it was abandoned: nothing is written any more.
        var failure: StoreFailure?
        /// It was made by us and is not finished.
        var writes = false

        mutating func create(_ path: String) throws {
            descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw StoreFailure(errno: errno, "cannot make \(path)") }
            writes = true
        }

        /// Leaves it closed.
        mutating func take() -> Int32 {
            defer { descriptor = -1 }
            return descriptor
        }
    }

    init(path: String, syncs: SyncFigures) {
        self.path = path
        self.syncs = syncs
    }

    deinit {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            Glibc.close(state.descriptor)
            // Neither finished nor abandoned: nobody will name it.
            if state.writes { unlink(path) }
        }
    }

    /// Octets that were announced and are not written.
    var backlog: Int { waiting.load(ordering: .relaxed) }

    func expect(_ octets: Int) { waiting.add(octets, ordering: .relaxed) }

    // MARK: Writing

    func append(_ bytes: ByteBuffer) throws {
        defer { waiting.subtract(bytes.readableBytes, ordering: .relaxed) }
        try writing { descriptor in
            try bytes.withUnsafeReadableBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { throw StoreFailure(errno: errno, "cannot write \(path)") }
                    rest = rest.dropFirst(count)
                }
            }
        }
    }

    /// Over what is written already.
    func overwrite(_ bytes: ByteBuffer, at offset: Int) throws {
        try writing { descriptor in
            try bytes.withUnsafeReadableBytes { bytes in
                var done = 0
                while done < bytes.count {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
                    let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { throw StoreFailure(errno: errno, "cannot write \(path)") }
                    done += count
                }
            }
        }
    }

    /// Empties it; what fails here fails everything that comes later.
    func restart() {
        try? writing { descriptor in
            guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
                throw StoreFailure(errno: errno, "cannot empty \(path)")
            }
        }
    }

    /// Makes the octets durable; their name is not yet. A failed sync is never repeated: the file is given up.
    func sync() throws {
        syncs.add(.content)
        try writing { descriptor in
            guard fdatasync(descriptor) == 0 else { throw StoreFailure(errno: errno, "cannot sync \(path)") }
        }
    }

    /// Its name is durable too: it stays, and is closed.
    func keep() throws {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            state.writes = false
            guard Glibc.close(state.take()) == 0 else { throw StoreFailure(errno: errno, "cannot close \(path)") }
        }
    }

    func abandon() {
        state.withLock { state in
            state.failure = StoreFailure(.failed, "\(path) was abandoned")
            let descriptor = state.take()
            if descriptor >= 0 { Glibc.close(descriptor) }
            if state.writes { unlink(path) }
            state.writes = false
        }
    }

    private func writing(_ body: (Int32) throws -> Void) throws {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            do {
                if state.descriptor < 0 { try state.create(path) }
                try body(state.descriptor)
            } catch {
                state.failure = error as? StoreFailure ?? StoreFailure(.failed, "\(error)")
                throw error
            }
        }
    }

    // MARK: Reading

    func openForReading() throws {
        try state.withLock { state in
            state.descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
            guard state.descriptor >= 0 else { throw StoreFailure(errno: errno, "cannot open \(path)") }
        }
    }

    /// - Returns: nil at the end.
    func next(_ limit: Int) throws -> ByteBuffer? {
        try state.withLock { state in
            guard state.descriptor >= 0 else { throw StoreFailure(.failed, "\(path) is closed") }
            let limit = max(1, limit)
            var buffer = ByteBufferAllocator().buffer(capacity: limit)
            let count = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: limit) { space in
                while true {
                    let count = Glibc.read(state.descriptor, space.baseAddress, min(space.count, limit))
                    if count >= 0 { return count }
                    guard errno == EINTR else { throw StoreFailure(errno: errno, "cannot read \(path)") }
                }
            }
            return count == 0 ? nil : buffer
        }
    }

    func close() {
        state.withLock { state in
            let descriptor = state.take()
            if descriptor >= 0 { Glibc.close(descriptor) }
        }
    }
}
