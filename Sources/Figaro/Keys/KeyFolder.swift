import Glibc
import Mail
import Signing

/// The folder of DKIM keys that `figaro dkim` keeps: `DOMAIN/SELECTOR.pem` signs, `SELECTOR.next.pem` waits until its
/// record is published, `SELECTOR.old.pem` signs no more. What a key is for changes by a rename, which is whole or not
/// at all.
struct KeyFolder {
    let path: String

    enum State: String, CaseIterable, Codable {
        case next, signs, old

        fileprivate var ending: String { self == .signs ? ".pem" : ".\(rawValue).pem" }
    }

    struct Entry {
        var domain: String
        var selector: String
        var state: State
        var path: String
        /// When it came to be what it is.
        var since: Timestamp
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String

        fileprivate init(_ path: String, _ what: String) {
            description = "\(path) \(what): \(String(cString: strerror(errno)))"
        }

        init(_ description: String) { self.description = description }
    }

    /// All that is in it, by domain and selector; nothing where there is no such folder yet.
    func entries() throws(Failure) -> [Entry] {
        var found: [Entry] = []
        for domain in try Self.names(in: path, mayLack: true) where !domain.hasPrefix(".") {
            for name in try Self.names(in: "\(path)/\(domain)") where !name.hasPrefix(".") && name.hasSuffix(".pem") {
                let parts = name.split(separator: ".")
                let state = parts.count == 2 ? State.signs : parts.count == 3 ? State(rawValue: String(parts[1])) : nil
                guard let state, let selector = parts.first else {
                    throw Failure("\(path)/\(domain)/\(name) is not named SELECTOR.pem")
                }
                let file = "\(path)/\(domain)/\(name)"
                var facts = stat()
                guard stat(file, &facts) == 0 else { throw Failure(file, "cannot be looked at") }
                found.append(
                    Entry(
                        domain: domain, selector: String(selector), state: state, path: file,
                        since: Timestamp(milliseconds: Int64(facts.st_ctim.tv_sec) * 1_000)))
            }
        }
        return found.sorted { ($0.domain, $0.selector) < ($1.domain, $1.selector) }
    }

    /// Reads a key; what is wrong with it is said without a word of its content.
    static func key(_ path: String) throws(Failure) -> SigningKey {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(path, "cannot be read") }
        defer { close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0 else { throw Failure(path, "cannot be looked at") }
        guard facts.st_mode & 0o007 == 0 else {
            throw Failure("\(path) can be read by every user of this machine (chmod o= \(path))")
        }
        var octets = [UInt8](repeating: 0, count: longestKey + 1)
        let count = octets.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw Failure(path, "cannot be read") }
        guard count <= longestKey else { throw Failure("\(path) is too long for a key") }
        do throws(SigningKey.Unusable) {
            return try SigningKey(pem: String(decoding: octets.prefix(count), as: UTF8.self))
        } catch {
            throw Failure("\(path): \(error)")
        }
    }

    private static let longestKey = 16 << 10

    /// Keeps a key: whole and durable, or not at all.
    ///
    /// - Parameter owner: who must be able to read it; nil: whoever we are.
    func add(_ key: SigningKey, domain: String, selector: String, _ state: State, owner: UserAccount?) throws(Failure) {
        let folder = "\(path)/\(domain)"
        for each in [path, folder] {
            guard mkdir(each, 0o700) == 0 || errno == EEXIST else { throw Failure(each, "cannot be made") }
            if let owner { _ = chown(each, owner.user, owner.group) }
        }
        for each in State.allCases where access("\(folder)/\(selector)\(each.ending)", F_OK) == 0 {
            throw Failure("\(domain) has a key with the selector \(selector) already")
        }
        let fresh = "\(folder)/.\(selector).\(getpid())"
        let file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Failure(fresh, "cannot be made") }
        defer { unlink(fresh) }
        let text = Array(key.pem.utf8)
        let written = text.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        let isKept = written == text.count && fsync(file) == 0
        if let owner { _ = fchown(file, owner.user, owner.group) }
        close(file)
        guard isKept else { throw Failure(fresh, "cannot be written") }
        let last = "\(folder)/\(selector)\(state.ending)"
        // Unlike rename, it replaces nothing.
        guard link(fresh, last) == 0 else { throw Failure(last, "cannot be made") }
        try Self.sync(folder)
    }

    /// The keys that wait sign from now on, and those that signed do not; those that wait come first, so that a crash
    /// in between leaves a domain with too many signatures and never without.
    func switchOver(_ domain: String) throws(Failure) {
        let own = try entries().filter { $0.domain == domain }
        let waiting = own.filter { $0.state == .next }
        guard !waiting.isEmpty else { throw Failure("\(domain) has no key that waits") }
        for entry in waiting { try rename(entry, to: .signs) }
        for entry in own where entry.state == .signs { try rename(entry, to: .old) }
        try Self.sync("\(path)/\(domain)")
    }

    private func rename(_ entry: Entry, to state: State) throws(Failure) {
        let last = "\(path)/\(entry.domain)/\(entry.selector)\(state.ending)"
        guard Glibc.rename(entry.path, last) == 0 else { throw Failure(entry.path, "cannot be renamed") }
    }

    private static func sync(_ folder: String) throws(Failure) {
        let file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(folder, "cannot be opened") }
        defer { close(file) }
        guard fsync(file) == 0 else { throw Failure(folder, "cannot be synced") }
    }

    private static func names(in folder: String, mayLack: Bool = false) throws(Failure) -> [String] {
        guard let handle = opendir(folder) else {
            if mayLack, errno == ENOENT { return [] }
            throw Failure(folder, "cannot be read")
        }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { octets in
                String(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
