import NIOCore
import SMTP

/// What sessions are begun with. A reload makes another one; sessions keep theirs until they end.
final class Generation: Sendable {
    let services: Services
    let certificates: CertificateHolder?
    private let timeouts: ServerTimeouts
    /// Without logins, and with them.
    private let settings: [Bool: [TLSMode: ServerSettings]]
    /// By event loop.
    private let watches: [ObjectIdentifier: SessionWatch]

    /// - Throws: ``IntakeError`` when certificates cannot be loaded, or are missing where a listener has TLS.
    init(_ services: Services, group: any EventLoopGroup) throws {
        let configuration = services.configuration
        let limits = configuration.limits
        self.services = services
        let timeouts = ServerTimeouts(
            command: limits.commandTimeout, data: limits.dataTimeout, content: limits.contentTimeout,
            minimumRate: limits.minimumDataRate)
        self.timeouts = timeouts
        settings = Dictionary(
            uniqueKeysWithValues: [false, true].map { ($0, Self.settings(configuration, timeouts, logins: $0)) })
        watches = Dictionary(
            group.makeIterator().map { (ObjectIdentifier($0), SessionWatch(loop: $0, timeouts: timeouts)) }
        ) { first, _ in first }
        certificates = try Self.certificates(configuration)
    }

    private static func certificates(_ configuration: Configuration) throws(IntakeError) -> CertificateHolder? {
        guard !configuration.certificates.isEmpty else {
            if let listener = configuration.listeners.first(where: { $0.tls != .none }) {
                throw IntakeError.certificateMissing(address: "\(listener.address)", port: listener.port)
            }
            return nil
        }
        do throws(CertificateHolder.Fault) {
            return try CertificateHolder(configuration.certificates)
        } catch {
            throw .certificate(file: error.file, reason: error.reason)
        }
    }

    private static func settings(
        _ configuration: Configuration, _ timeouts: ServerTimeouts, logins: Bool
    ) -> [TLSMode: ServerSettings] {
        let modes = Set(configuration.listeners.map(\.tls))
        return Dictionary(
            uniqueKeysWithValues: modes.map { mode in
                let settings = ServerSettings(
                    hostname: configuration.hostname, mode: mode, messageSize: configuration.limits.messageSize,
                    lineLength: configuration.limits.lineLength, timeouts: timeouts, offersLogin: logins)
                return (mode, settings)
            })
    }

    /// - Parameter logins: there are accounts that log in.
    func settings(_ mode: TLSMode, logins: Bool) -> ServerSettings {
        let limits = services.configuration.limits
        return settings[logins]?[mode]
            ?? ServerSettings(
                hostname: services.configuration.hostname, mode: mode, messageSize: limits.messageSize,
                lineLength: limits.lineLength, timeouts: timeouts, offersLogin: logins)
    }

    func watch(of loop: any EventLoop) -> SessionWatch {
        watches[ObjectIdentifier(loop)] ?? SessionWatch(loop: loop, timeouts: timeouts)
    }
}
