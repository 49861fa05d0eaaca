import Glibc
import Intake
import Mail
import NIOSSL
import SMTP

/// What only this machine can tell about a configuration: whether its files, folders, users and addresses are there.
struct MachineChecks {
    let configuration: NodeConfiguration
    let problems: Problems

    func run() {
        let account = user()
        folder(configuration.spool, "spool", for: account)
        listeners()
        certificates()
    }

    /// Whether each certificate and its key can be used, and belong together.
    private func certificates() {
        for (index, files) in configuration.intake.certificates.enumerated() {
            do throws(CertificateHolder.Fault) {
                _ = try CertificateHolder([files])
            } catch {
                complain("tls.certificates[\(index)]", error.description)
                continue
            }
            if let fault = Self.expiry(files.certificate) { complain("tls.certificates[\(index)].certificate", fault) }
        }
    }

    /// Customers that check certificates would send nothing, and the others would not know whom they talk to.
    private static func expiry(_ file: String) -> String? {
        guard let leaf = try? NIOSSLCertificate.fromPEMFile(file).first else { return nil }
        let end = Timestamp(milliseconds: Int64(leaf.notValidAfter) * 1_000)
        return end < SystemTime().now() ? "\(file) has expired at \(UTCTime.text(end)); renew it" : nil
    }

    private func complain(_ path: String, _ message: String) {
        problems.add(configuration.problem(path, message))
    }

    private func user() -> UserAccount? {
        guard let name = configuration.user else { return nil }
        let account = UserAccount.named(name)
        if account == nil { complain("user", "there is no user “\(name)” on this machine") }
        return account
    }

    /// Whether it can be written, or made where it is missing.
    private func folder(_ path: String, _ key: String, for account: UserAccount?) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            guard errno == ENOENT else { return complain(key, "\(path) cannot be used: \(Self.reason())") }
            let parent = Self.nearestExisting(path)
            if access(parent, W_OK | X_OK) != 0 {
                complain(key, "\(path) does not exist and cannot be made in \(parent): \(Self.reason())")
            }
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return complain(key, "\(path) is not a folder") }
        if geteuid() == 0 {
            let owner = status.st_uid
            let wanted = account?.user ?? 0
            if owner != wanted, owner != 0 {
                complain(key, "\(path) belongs to user id \(owner), not to \(configuration.user ?? "root")")
            }
        } else if access(path, R_OK | W_OK | X_OK) != 0 {
            complain(key, "\(path) cannot be written: \(Self.reason())")
        }
    }

    private func listeners() {
        for (index, listener) in configuration.intake.listeners.enumerated() {
            if let fault = SourceBinding.fault(listener.address) {
                complain("listeners[\(index)].address", "\(listener.address) cannot be bound on this machine: \(fault)")
            }
        }
    }

    private static func nearestExisting(_ path: String) -> String {
        var path = path
        while access(path, F_OK) != 0 {
            guard let slash = path.lastIndex(of: "/") else { return "." }
            path = String(path[..<slash])
            if path.isEmpty { return "/" }
        }
        return path
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
