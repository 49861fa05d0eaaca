import Foundation

/// Runs what blocks (disks, joins) on a thread made for it, never on an event loop or the cooperative pool.
enum OwnThread {
    static func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Result { try body() }) }
            // SQLite and its recovery go deeper than the 512 KB that a thread may get otherwise.
            thread.stackSize = 4 << 20
            thread.start()
        }
    }

    static func run(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            Thread {
                body()
                continuation.resume()
            }.start()
        }
    }
}
