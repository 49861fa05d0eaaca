import Glibc

/// What the process asks of the system before it does anything else.
enum ProcessLimits {
    /// Raises the limit of open files to what the system allows, and what it allows to `needed` where we may (as root).
    ///
    /// - Returns: the limit in force.
    static func raiseFileLimit(needed: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
        if limit.rlim_max < rlim_t(clamping: needed) {
            let wanted = rlimit(rlim_cur: rlim_t(clamping: needed), rlim_max: rlim_t(clamping: needed))
            if withUnsafePointer(to: wanted, { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), $0) }) == 0 {
                return needed
            }
        }
        if limit.rlim_cur < limit.rlim_max {
            var wanted = limit
            wanted.rlim_cur = limit.rlim_max
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &wanted) == 0 { limit = wanted }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Files for nobody else, and no death by a peer that closes.
    static func prepare() {
        umask(0o077)
        signal(SIGPIPE, SIG_IGN)
        // Until there are certificates to read again, it must not end us either.
        signal(SIGHUP, SIG_IGN)
        takeTurns()
    }

    /// Asks the kernel not to interrupt whoever runs each time one of our threads has something to do (SCHED_BATCH of
    /// sched(7), which needs no privilege and which all threads inherit). Where processors are free nothing changes;
    /// where they are not, a thread finds more to do when its turn comes: more events a wake-up, more messages a
    /// commit.
    private static func takeTurns() {
        // The C library declares the constant for GNU sources only.
        let batch: CInt = 3
        var parameters = sched_param()
        // A kernel that refuses (a sandbox may) leaves us as we were.
        _ = sched_setscheduler(0, batch, &parameters)
    }
}
