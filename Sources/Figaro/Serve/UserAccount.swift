import Glibc

/// A user of this machine and their groups.
struct UserAccount: Hashable, Sendable {
    let name: String
    let user: uid_t
    let group: gid_t

    /// nil when there is none of that name.
    static func named(_ name: String) -> UserAccount? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        // As getpwnam_r(3) has it; entries of directory services can be long.
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return UserAccount(name: name, user: entry.pw_uid, group: entry.pw_gid)
    }

    /// nil when the machine has no name for that user.
    static func name(of user: uid_t) -> String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        guard getpwuid_r(user, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name
        else { return nil }
        return String(cString: name)
    }
}
