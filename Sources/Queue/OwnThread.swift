import Glibc
import Synchronization

/// A thread for calls that block, apart from event loops and the cooperative pool.
package final class OwnThread: Sendable {
    private let thread: Mutex<pthread_t?>

    /// - Parameter name: up to 15 characters, as `top -H` shows it.
    /// - Throws: ``StoreFailure`` when the system grants no further thread.
    package init(name: String, body: @escaping @Sendable () -> Void) throws {
        let start = Start(name: name, body: body)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                ThreadName.set(start.name)
                start.body()
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        guard code == 0 else {
            throw StoreFailure(.failed, "cannot start thread \(name): \(String(cString: strerror(code)))")
        }
        self.thread = Mutex(thread)
    }

    /// Waits for its end; later calls return at once. Not to be called by the thread itself.
    package func join() {
        let waiting = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let waiting { pthread_join(waiting, nil) }
    }

    /// Its end is nobody's business; instead of ``join()``.
    private func detach() {
        thread.withLock { thread in
            if let handle = thread { pthread_detach(handle) }
            thread = nil
        }
    }

    /// Runs what blocks (disks, joins) on a thread made for it, never on an event loop or the cooperative pool; in
    /// place only when the system grants no further thread, since late is better than never.
    package static func run<T: Sendable, E: Error>(
        _ body: @escaping @Sendable () throws(E) -> T
    ) async throws(E) -> T {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<T, E>, Never>) in
            let work: @Sendable () -> Void = {
                continuation.resume(returning: Result { () throws(E) -> T in try body() })
            }
            do {
                try OwnThread(name: "figaro-blocking", body: work).detach()
            } catch {
                work()
            }
        }
        return try result.get()
    }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}

/// The name of a thread as `top -H` and profilers show it.
package enum ThreadName {
    /// Names the calling thread; at most 15 characters are kept.
    ///
    /// The kernel's own way: the C library's is a GNU extension that Swift does not see, and a name that Foundation
    /// gives is overwritten.
    package static func set(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = name.withCString { write(file, $0, strlen($0)) }
        close(file)
    }
}

/// Wakes one waiting thread; a ring while nobody waits is kept for the next wait.
package final class Bell: @unchecked Sendable {
    // SAFETY: mutex and condition are made to be shared and live as long as this object; `rung` is touched only with
    // the mutex held.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var rung = false

    package init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func ring() {
        pthread_mutex_lock(mutex)
        rung = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Returns after a ring, or after `nanoseconds` (0 or less: at once).
    package func wait(nanoseconds: Int64) {
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        // A day is as good as for ever, and adding it cannot overflow.
        let span = min(max(nanoseconds, 0), 86_400_000_000_000) + Int64(until.tv_nsec)
        until.tv_sec += Int(span / 1_000_000_000)
        until.tv_nsec = Int(span % 1_000_000_000)
        pthread_mutex_lock(mutex)
        while !rung {
            if pthread_cond_timedwait(condition, mutex, &until) != 0 { break }
        }
        rung = false
        pthread_mutex_unlock(mutex)
    }
}
