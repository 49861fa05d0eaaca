import Glibc

/// Whom the relay runs as: root binds ports, and everything else is done by a user who can do little.
///
/// Changes of identity go through the C library, which carries them to every thread of the process.
struct Privileges {
    /// What went wrong, in words for the operator.
    struct Refused: Error, CustomStringConvertible {
        var description: String

        fileprivate init(_ what: String) {
            description = "\(what): \(String(cString: strerror(errno)))"
        }

        fileprivate init(plain: String) {
            description = plain
        }
    }

    /// Whom to become; nil where there is nothing to change.
    let account: UserAccount?
    /// What an operator should know about it.
    let notice: String?

    /// - Parameter user: the name in the configuration.
    init(user: String?) throws(Refused) {
        let isRoot = geteuid() == 0
        guard let user else {
            account = nil
            notice = isRoot ? "running as root for good; name a user in the configuration" : nil
            return
        }
        guard let account = UserAccount.named(user) else {
            throw Refused(plain: "there is no user “\(user)” on this machine")
        }
        guard isRoot else {
            self.account = nil
            notice = geteuid() == account.user ? nil : "not started as root, so this stays user id \(geteuid())"
            return
        }
        self.account = account.user == 0 ? nil : account
        notice = nil
    }

    /// Makes the spool where it is missing and gives it to the user.
    ///
    /// One that root used before is handed over with everything in it; one of somebody else is refused.
    func prepareSpool(_ path: String) throws(Refused) {
        guard let account else { return }
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            // The user must be able to reach the spool, whatever the umask.
            guard mkdir(parent, 0o755) == 0 ? chmod(parent, 0o755) == 0 : errno == EEXIST else {
                throw Refused("cannot make \(parent)")
            }
        }
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw Refused("cannot make \(path)") }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Refused("cannot use \(path)") }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw Refused(plain: "\(path) is not a folder") }
        switch status.st_uid {
        case account.user: return
        case 0: try handOver(path, to: account, depth: 0)
        default:
            throw Refused(plain: "\(path) belongs to user id \(status.st_uid), not to \(account.name)")
        }
    }

    /// Nobody but root could have written there, so what lies in it is ours.
    private func handOver(_ path: String, to account: UserAccount, depth: Int) throws(Refused) {
        guard lchown(path, account.user, account.group) == 0 else { throw Refused("cannot give \(path) away") }
        // queue.sqlite, content/ and its files: two levels.
        guard depth < 3, let stream = opendir(path) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            if entry.pointee.d_type == UInt8(DT_DIR) {
                try handOver("\(path)/\(name)", to: account, depth: depth + 1)
            } else if lchown("\(path)/\(name)", account.user, account.group) != 0 {
                throw Refused("cannot give \(path)/\(name) away")
            }
        }
    }

    /// Acts as the user until ``regain()``: files made now are the user's.
    func assume() throws(Refused) {
        guard let account else { return }
        guard initgroups(account.name, account.group) == 0 else { throw Refused("cannot take the groups of the user") }
        guard setegid(account.group) == 0, seteuid(account.user) == 0 else {
            throw Refused("cannot act as \(account.name)")
        }
    }

    /// Root again, to take ports.
    func regain() throws(Refused) {
        guard account != nil else { return }
        guard seteuid(0) == 0, setegid(0) == 0 else { throw Refused("cannot act as root again") }
    }

    /// The system keeps an identity for each thread; all that can still run must have changed.
    private static func checkThreads(_ account: UserAccount) throws(Refused) {
        guard let stream = opendir("/proc/self/task") else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix("."), let text = status(ofThread: name), !text.contains("\nState:\tZ") else {
                continue
            }
            let wanted = "\nUid:" + String(repeating: "\t\(account.user)", count: 4) + "\n"
            guard text.contains(wanted) else {
                throw Refused(plain: "became \(account.name), but a thread of the process did not")
            }
        }
    }

    /// nil when the thread has just ended.
    private static func status(ofThread name: String) -> String? {
        guard let file = fopen("/proc/self/task/\(name)/status", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// Becomes the user for good, and makes sure that every thread did.
    func drop() throws(Refused) {
        try become()
        if let account { try Self.checkThreads(account) }
    }

    /// Becomes the user for good, and makes sure that there is no way back.
    func become() throws(Refused) {
        guard let account else { return }
        guard initgroups(account.name, account.group) == 0 else { throw Refused("cannot take the groups of the user") }
        guard setgid(account.group) == 0, setuid(account.user) == 0 else {
            throw Refused("cannot become \(account.name)")
        }
        guard getuid() == account.user, geteuid() == account.user, getgid() == account.group,
            getegid() == account.group, setuid(0) != 0, seteuid(0) != 0
        else { throw Refused(plain: "became \(account.name), but could become root again") }
    }
}
