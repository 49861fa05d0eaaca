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
    }
}
